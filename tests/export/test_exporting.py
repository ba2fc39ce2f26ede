"""An exported network predicts as its run does, whatever the batch and the kind of samples."""

import json
import re
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from jax import export

from masam_jax.config import (
    CorruptionConfig,
    DataConfig,
    Experiment,
    ModelConfig,
    OptimizationConfig,
    SeedConfig,
)
from masam_jax.config.errors import RunError
from masam_jax.data import load_mfeat
from masam_jax.export import PLATFORMS, export_run, load_exported
from masam_jax.predict import load_predictor
from tests.saved_runs import save_run

PAGE = Path(__file__).resolve().parents[2] / "docs" / "export.md"


def _run(place, dataset, methods=("masam",), seeds=2, corruption=None, **model):
    experiment = Experiment(
        data=DataConfig(dataset, 20, 20, 20),
        corruption=corruption or CorruptionConfig(),
        model=ModelConfig(**({"width": 4, "depth": 1} | model)),
        optimization=OptimizationConfig(steps=1, batch_size=4),
        seeds=SeedConfig(seeds),
    )
    return save_run(place, methods, experiment)


def _assert_alike(found, expected):
    for name in ("by_seed", "logits", "probabilities"):
        left, right = getattr(found, name), getattr(expected, name)
        assert left.dtype == right.dtype
        # Logits of 8 are rounded to 1e-6, and so are sums over batches of other sizes.
        scale = max(1, np.abs(right).max()) if name == "logits" else 1
        np.testing.assert_allclose(left, right, rtol=2e-6, atol=1e-6 * scale)
    assert found.unimodal_by_seed.keys() == expected.unimodal_by_seed.keys()
    for m, own in expected.unimodal_by_seed.items():
        np.testing.assert_allclose(found.unimodal_by_seed[m], own, rtol=1e-6, atol=1e-6)
    assert (found.classes, found.multi_label) == (expected.classes, expected.multi_label)
    assert found.is_regression == expected.is_regression
    if not found.is_regression:
        np.testing.assert_array_equal(found.predicted, expected.predicted)


@pytest.fixture(scope="module")
def mfeat(tmp_path_factory):
    """A run, in a directory of the name that docs/export.md uses, and its export."""
    place = tmp_path_factory.mktemp("mfeat") / "runs" / "mine"
    place.parent.mkdir()
    run = _run(place, "mfeat")
    return run, export_run(run, run / "export")


def _digits(count):
    return {m: x[:count] for m, x in load_mfeat().features.items()}


def test_any_number_of_samples_as_the_run_predicts_them(mfeat):
    run, place = mfeat
    predictor, exported = load_predictor(run, batch_size=4), load_exported(place)
    assert exported.platforms == PLATFORMS
    assert exported.method == predictor.method
    assert exported.seeds == predictor.seeds == (0, 1)
    assert exported.modalities == predictor.modalities
    for count in (1, 5):
        _assert_alike(exported(_digits(count)), predictor(_digits(count)))


def test_missing_modalities(mfeat):
    run, place = mfeat
    inputs = _digits(3) | {"mor": None}
    present = {"pix": np.array([True, False, True])}
    found = load_exported(place)(inputs, present=present)
    _assert_alike(found, load_predictor(run)(inputs, present=present))
    with pytest.raises(ValueError, match="inputs lack 'mor'"):
        load_exported(place)({m: x for m, x in _digits(3).items() if m != "mor"})


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_images_and_sequences(tmp_path, task):
    numbers = np.random.default_rng(0)
    inputs = {
        "photo": numbers.integers(0, 256, (60, 8, 8, 3)).astype(np.uint8),
        "walk": numbers.normal(size=(60, 5, 3)).astype(np.float32),
    }
    mask = np.arange(5) < numbers.integers(1, 6, (60, 1))
    label = np.arange(60) % 3 if task == "classification" else numbers.normal(5, 2, 60)
    arrays = {f"x_{m}": x for m, x in inputs.items()}
    np.savez(tmp_path / "own.npz", **arrays, mask_walk=mask, label=label)
    run = _run(tmp_path / "run", f"{tmp_path / 'own.npz'}:task={task}", seeds=1)
    exported = load_exported(export_run(run, tmp_path / "out"))
    walk = {"values": inputs["walk"] * mask[..., None], "mask": mask}
    new = {m: jax.tree.map(lambda x: x[:3], x) for m, x in (inputs | {"walk": walk}).items()}
    _assert_alike(exported(new), load_predictor(run)(new))


def test_jax_alone_reads_the_program(mfeat):
    run, place = mfeat
    program = export.deserialize(bytearray((place / "program.jax").read_bytes()))
    digits = {m: x.astype(np.float32) for m, x in _digits(3).items()}
    present = dict.fromkeys(digits, np.ones(3, bool))
    found = jax.jit(program.call)(digits, present)
    expected = load_predictor(run)(digits)
    np.testing.assert_allclose(found["probabilities"], expected.probabilities, atol=1e-6)
    assert program.platforms == PLATFORMS


def test_metadata_says_what_goes_in(mfeat):
    content = json.loads((mfeat[1] / "metadata.json").read_text())
    assert content["data"]["classes"] == list("0123456789")
    assert content["data"]["modalities"]["mor"]["shape"] == [6]
    assert content["checkpoint"] == "last"


def test_some_seeds_of_a_method(tmp_path):
    dataset = "synthetic:dominance=2/1,num_classes=3,samples=120"
    run = _run(tmp_path / "run", dataset, ("late_fusion", "aug:hidden=8"), seeds=3)
    chosen = {"method": "aug:hidden=8", "seeds": [2], "checkpoint": "best"}
    exported = load_exported(export_run(run, tmp_path / "out", platforms=["cpu"], **chosen))
    assert exported.platforms == ("cpu",)
    assert exported.seeds == (2,)
    rows = np.random.default_rng(0)
    inputs = {m: rows.normal(size=(3, *s.shape)) for m, s in exported.modalities.items()}
    _assert_alike(exported(inputs), load_predictor(run, **chosen)(inputs))


@pytest.mark.parametrize(
    "words,message",
    [
        ({"platforms": ["gpu"]}, "unknown platform 'gpu'"),
        ({"platforms": []}, "platforms are missing"),
        ({"seeds": [7]}, "seeds=.7,. are not some of the run's"),
        ({"checkpoint": "first"}, "checkpoint='first' is unknown"),
    ],
)
def test_mistakes_at_the_door(mfeat, tmp_path, words, message):
    with pytest.raises(RunError, match=message):
        export_run(mfeat[0], tmp_path / "out", **words)
    assert not (tmp_path / "out").exists()


def test_damage_is_named(mfeat, tmp_path):
    place = tmp_path / "export"
    with pytest.raises(RunError, match=r"has no metadata.json; expected what masam export wrote"):
        load_exported(place)
    shutil.copytree(mfeat[1], place)
    program = (place / "program.jax").read_bytes()
    (place / "program.jax").write_bytes(program[:-1])
    with pytest.raises(RunError, match=r"program.jax is damaged"):
        load_exported(place)
    text = (place / "metadata.json").read_text()
    (place / "metadata.json").write_text(text.replace('"may_lack": false', '"may_lack": true'))
    with pytest.raises(RunError, match=r"metadata.json is damaged"):
        load_exported(place)


def test_another_platform_is_named(mfeat, tmp_path):
    place = export_run(mfeat[0], tmp_path / "out", platforms=["tpu"])
    message = re.escape(
        f"{place} was exported for tpu; this is cpu: export it with --platforms cpu"
    )
    with pytest.raises(RunError, match=message):
        load_exported(place)


def test_the_examples_of_the_page(mfeat, monkeypatch, capsys):
    monkeypatch.chdir(mfeat[0].parent.parent)
    names = {}
    for example in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        exec(example, names)
    shapes = ["(5, 10)", "(5, 10) (2, 5, 10)", "(2, 5, 10) (2, 5, 10)"]
    assert capsys.readouterr().out.splitlines() == shapes
