"""Files that no list names, decoded as a published data set's own."""

import csv
from pathlib import Path

import jax
import numpy as np
import pytest

from masam_jax.config import (
    DataConfig,
    Experiment,
    InputConfig,
    ModelConfig,
    OptimizationConfig,
    SeedConfig,
)
from masam_jax.config.errors import RunError
from masam_jax.data.dataset_spec import parse_dataset
from masam_jax.data.own.tables import read_table
from masam_jax.predict import load_predictor
from masam_jax.training.open_data import open_data, prepare_if_needed
from masam_jax.training.published_files import published_files
from tests.data.builders.sources import fixture_spec, make_any_source
from tests.data.own.small_files import write_csv
from tests.saved_runs import save_run


class Published:
    """Made-up files of a published data set, prepared, and in the layout of its source.

    Attributes:
      keys: of the test samples.
    """

    def __init__(self, place, name, options=""):
        self.spec = fixture_spec(name)
        self.spec += ("," if ":" in self.spec else ":") + options if options else ""
        self.source = place / "source"
        make_any_source(name, self.source)
        self.inputs = InputConfig(str(place / "prepared"), str(self.source))
        prepare_if_needed(self.spec, self.inputs)
        self.data = open_data(self.spec, self.inputs)
        self.rows = self.data.split(seed=0).test
        self.keys = [self.data.keys[row] for row in self.rows]

    def read(self, columns, inputs=None, size=3):
        """The samples of a table, as batches that are whole."""
        table = write_csv(self.source / "new.csv", columns)
        specs = self.data.modality_specs
        dataset, inputs = parse_dataset(self.spec), inputs or self.inputs
        parts = published_files(dataset, self.source, read_table(table), specs, inputs)(size)
        whole = [jax.tree.map(lambda x, n=count: x[:n], part.inputs) for part, count in parts]
        return jax.tree.map(lambda *arrays: np.concatenate(arrays), *whole)

    def assert_same(self, columns, inputs=None):
        """That files in a table are decoded to what the prepared data are."""
        found, expected = self.read(columns, inputs), self.data.reader(self.rows).inputs
        jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_clips_of_crema_d(tmp_path):
    published = Published(tmp_path, "crema_d")
    columns = {
        "audio": [f"AudioWAV/{key}.wav" for key in published.keys],
        "video": [f"VideoFlash/{key}.flv" for key in published.keys],
    }
    # Prepared data are not needed.
    published.assert_same(columns, InputConfig(str(tmp_path / "elsewhere")))

    def refused(**others):
        with pytest.raises(ValueError, match=r"new\.csv") as error:
            published.read({**columns, **others})
        return str(error.value)

    gone = refused(video=[columns["video"][0], *["gone.flv"] * 7])
    assert "line 3, column 'video'" in gone
    assert gone.endswith("gone.flv: there is no such file")
    assert "line 2, column 'audio': it is empty" in refused(audio=[""] * 8)
    (published.source / "bad.wav").write_bytes(b"RIFF")
    damaged = refused(audio=[*columns["audio"][:4], *["bad.wav"] * 4])
    assert "line 6: " in damaged
    assert "bad.wav" in damaged
    with pytest.raises(ValueError, match="unknown column 'video'"):
        published.read({"audio": columns["audio"]})


def test_clips_of_kinetics_sounds_with_their_own_sound_and_another(tmp_path):
    published = Published(tmp_path, "kinetics_sounds")
    clips = [
        next(published.source.rglob(f"{key.partition('_')[0]}_*.mp4")) for key in published.keys
    ]
    sounds = [wav if (wav := clip.with_suffix(".wav")).exists() else clip for clip in clips]
    assert 0 < sum(sound.suffix == ".wav" for sound in sounds) < len(sounds)
    published.assert_same({"audio": sounds, "video": clips})


def test_dishes_of_food101_with_features_of_their_titles(tmp_path):
    published = Published(tmp_path, "food101")
    images = [
        next(published.source.glob(f"images/test/*/{Path(key).name}.jpg")) for key in published.keys
    ]
    texts = [published.source / "bert_features" / f"{key}.npy" for key in published.keys]
    published.assert_same({"image": images, "text": texts})


def test_predictions_for_dishes_and_titles_of_food101(tmp_path):
    published = Published(tmp_path, "food101", "text=tokens")
    experiment = Experiment(
        data=DataConfig(published.spec, None, None, None),
        model=ModelConfig(
            width=4, depth=1, encoders=("image=conv", "text=text_transformer:heads=1")
        ),
        optimization=OptimizationConfig(steps=1, batch_size=4),
        seeds=SeedConfig(1),
    )
    predictor = load_predictor(save_run(tmp_path / "run", ["masam"], experiment, published.inputs))
    expected = predictor.of_dataset(inputs=published.inputs)
    images = [
        next(published.source.glob(f"images/test/*/{Path(key).name}.jpg")) for key in published.keys
    ]
    with (published.source / "texts" / "test_titles.csv").open(newline="") as file:
        titles = {name: title for name, title, _ in csv.reader(file)}
    texts = [titles[image.name] for image in images]
    labels = [image.parent.name for image in images]
    columns = {"key": published.keys, "image": images, "text": texts, "label": labels}
    table = write_csv(tmp_path / "new.csv", columns)
    # Prepared data, whose vocabulary it was, are not needed.
    elsewhere = InputConfig(str(tmp_path / "elsewhere"))
    found = predictor.of_files(table, label=True, inputs=elsewhere)
    np.testing.assert_allclose(found.by_seed, expected.by_seed, rtol=2e-5, atol=1e-6)
    np.testing.assert_array_equal(found.labels, expected.labels)
    assert found.keys == tuple(published.keys)


def test_samples_that_are_no_files_are_refused_and_taken_as_arrays(tmp_path):
    published = Published(tmp_path, "ur_funny")
    experiment = Experiment(
        data=DataConfig(published.spec, None, None, None),
        model=ModelConfig(width=4, depth=1),
        optimization=OptimizationConfig(steps=1, batch_size=4),
        seeds=SeedConfig(1),
    )
    predictor = load_predictor(save_run(tmp_path / "run", ["masam"], experiment, published.inputs))
    table = write_csv(tmp_path / "new.csv", {m: ["a.npy"] for m in predictor.modalities})
    with pytest.raises(RunError, match=r"ur_funny: its samples are no files .* x_MODALITY"):
        predictor.of_files(table)
    inputs = published.data.reader(published.rows).inputs
    arrays = {f"x_{m}": tree["values"] for m, tree in inputs.items()}
    arrays |= {f"mask_{m}": tree["mask"] for m, tree in inputs.items()}
    np.savez(tmp_path / "new.npz", **arrays)
    expected = predictor.of_dataset(inputs=published.inputs)
    found = predictor.of_files(tmp_path / "new.npz")
    np.testing.assert_allclose(found.by_seed, expected.by_seed, rtol=2e-5, atol=1e-6)
