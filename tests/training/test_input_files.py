"""Lists of samples that a run has not seen, read as its own were."""

import numpy as np
import pytest

from masam_jax.config import (
    CorruptionConfig,
    DataConfig,
    Experiment,
    ModelConfig,
    OptimizationConfig,
    SeedConfig,
)
from masam_jax.config.errors import RunError
from masam_jax.predict import load_predictor
from masam_jax.training.evaluate import evaluate_run
from tests.data.own.media_files import write_media
from tests.data.own.small_files import small_arrays, small_columns, write_csv
from tests.saved_runs import save_run


def experiment_on(dataset, corruption=None, **sections):
    return Experiment(
        data=DataConfig(str(dataset), None, None, None),
        corruption=corruption or CorruptionConfig(),
        model=ModelConfig(width=4, depth=1, **sections),
        optimization=OptimizationConfig(steps=1, batch_size=4),
        seeds=SeedConfig(2),
    )


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    """A run on captions, pictures, sounds and arrays; its folder, columns and directory."""
    place = tmp_path_factory.mktemp("media")
    columns, table = write_media(place / "clips"), place / "clips" / "clips.csv"
    run = save_run(place / "run", ["masam"], experiment_on(f"{table}:label=species"))
    return place / "clips", columns, run


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """A run on two groups of columns and a category; its columns and directory."""
    place = tmp_path_factory.mktemp("trees")
    columns = {**small_columns(), "soil": ["clay", "sand", "loam"] * 20}
    columns["id"] = [f"tree {row}" for row in range(60)]
    table = write_csv(place / "trees.csv", columns)
    spec = f"{table}:label=species,group=patient"
    return columns, save_run(place / "run", ["masam"], experiment_on(spec))


def rows_of(columns, rows):
    return {name: [values[row] for row in rows] for name, values in columns.items()}


def without(columns, *names):
    return {name: values for name, values in columns.items() if name not in names}


def assert_as_evaluated(found, run, rows):
    (evaluation,) = evaluate_run(run, "test", None)
    np.testing.assert_array_equal(evaluation.rows[0], rows)
    expected = evaluation.predictions
    np.testing.assert_allclose(found.by_seed, expected.probabilities, rtol=2e-5, atol=1e-6)
    for m, own in expected.unimodal.items():
        np.testing.assert_allclose(found.unimodal_by_seed[m], own, rtol=2e-5, atol=1e-6)


def test_media_are_decoded_as_at_training(media):
    folder, columns, run = media
    rows = evaluate_run(run, "test", None)[0].rows[0]
    # Fewer words, other lengths: what the run took from its own rows counts.
    table = write_csv(folder / "new.csv", without(rows_of(columns, rows), "species"))
    found = load_predictor(run, batch_size=2).of_files(table)
    assert found.classes == ("ash", "elm")
    assert (found.keys, found.labels) == (None, None)
    assert_as_evaluated(found, run, rows)


def test_columns_of_numbers_and_categories(trees, tmp_path):
    columns, run = trees
    rows = evaluate_run(run, "test", None)[0].rows[0]
    predictor = load_predictor(run)
    table = write_csv(tmp_path / "new.csv", rows_of(columns, rows))
    found = predictor.of_files(table, label=True)
    assert_as_evaluated(found, run, rows)
    assert found.keys == tuple(columns["id"][row] for row in rows)
    assert [found.classes[k] for k in found.labels] == [columns["species"][row] for row in rows]
    # One row of one category, columns in another order, no names.
    one = dict(reversed(without(rows_of(columns, rows[:1]), "id", "species").items()))
    alone = predictor.of_files(write_csv(tmp_path / "one.csv", one))
    np.testing.assert_allclose(alone.by_seed, found.by_seed[:, :1], rtol=2e-5, atol=1e-6)
    assert alone.keys is None


def test_a_folder_with_a_description(trees, tmp_path):
    columns, run = trees
    path = write_csv(tmp_path / "new.csv", without(columns, "species"))
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    (tmp_path / "dataset.toml").write_text(
        'table = "new.csv"\nlabel = "species"\n[modalities.face]\ncolumns = "face_*"\n'
    )
    predictor = load_predictor(run)
    found, expected = predictor.of_files(tmp_path), predictor.of_files(path)
    np.testing.assert_array_equal(found.by_seed, expected.by_seed)


def test_mistakes_name_file_row_and_column(media, trees, tmp_path):
    folder, columns, run = media
    predictor = load_predictor(run)

    def refused(path, predictor, *words, **named):
        with pytest.raises(RunError) as error:
            predictor.of_files(path, **named)
        assert "\n" not in str(error.value)
        for word in (str(path), *words):
            assert word in str(error.value)

    table = folder / "bad.csv"
    write_csv(table, without(columns, "photo"))
    refused(table, predictor, "unknown column 'photo'")
    write_csv(table, {**columns, "photo": ["photo_0.png", "gone.png"] * 6})
    refused(table, predictor, "line 3, column 'photo'", "there is no such file")
    write_csv(table, {**columns, "sound": ["sound_0.wav", None] * 6})
    refused(table, predictor, "line 3, column 'sound'", "lacks the modality 'sound'")
    write_csv(table, {**columns, "caption": [None] * 12})
    refused(table, predictor, "line 2, column 'caption'", "lacks the modality 'caption'")
    np.save(folder / "wide.npy", np.zeros((3, 5)))
    write_csv(table, {**columns, "trace": ["wide.npy"] * 12})
    refused(table, predictor, "column 'trace'", "[5, 5]", "[5, 2]")

    columns, run = trees
    predictor, table = load_predictor(run), tmp_path / "bad.csv"
    write_csv(table, {**columns, "soil": ["clay", "peat", "loam"] * 20})
    refused(table, predictor, "line 3, column 'soil'", "'peat'", "clay, loam, sand")
    write_csv(table, {**columns, "face_x": ["1", "high", "2"] * 20})
    refused(table, predictor, "line 3, column 'face_x'", "'high' is no number")
    write_csv(table, {**columns, "species": ["ash", "fir", "elm"] * 20})
    assert predictor.of_files(table).by_seed.shape == (2, 60, 3)
    refused(table, predictor, "column 'species'", "'fir'", label=True)
    refused(table, predictor, "unknown column 'kind'", "--label", label="kind")
    write_csv(table, without(columns, "species"))
    refused(table, predictor, "unknown column 'species'", label=True)
    refused(tmp_path / "gone.csv", predictor, "there is no such file")


def test_cells_may_be_empty_where_the_run_had_missing_modalities(tmp_path):
    columns = small_columns()
    table = write_csv(tmp_path / "trees.csv", columns)
    spec, gaps = f"{table}:label=species,group=patient", CorruptionConfig(missing=0.3)
    predictor = load_predictor(
        save_run(tmp_path / "run", ["masam"], experiment_on(spec, corruption=gaps))
    )
    half = {**columns, "face_x": [None, *columns["face_x"][1:]], "face_y": [None] * 60}
    half["face_y"][1:] = columns["face_y"][1:]
    found = predictor.of_files(write_csv(tmp_path / "half.csv", half))
    whole = predictor.of_files(table)
    assert (found.by_seed[:, 0] != whole.by_seed[:, 0]).any()
    np.testing.assert_array_equal(found.by_seed[:, 1:], whole.by_seed[:, 1:])
    sensor = np.array([[columns[f"sensor_{i}"][0] for i in range(3)]], np.float32)
    direct = predictor({"sensor": sensor, "face": None})
    np.testing.assert_allclose(found.by_seed[:, :1], direct.by_seed, rtol=2e-5, atol=1e-6)


def test_arrays(tmp_path):
    arrays = small_arrays()
    np.savez(tmp_path / "mine.npz", **arrays)
    run = save_run(tmp_path / "run", ["masam"], experiment_on(tmp_path / "mine.npz"))
    predictor = load_predictor(run)
    new = {name: array[:5] for name, array in arrays.items() if name != "label"}
    np.savez(tmp_path / "new.npz", **new)
    found = predictor.of_files(tmp_path / "new.npz")
    direct = predictor({name.removeprefix("x_"): array for name, array in new.items()})
    np.testing.assert_array_equal(found.by_seed, direct.by_seed)
    np.testing.assert_allclose(
        found.by_seed, np.exp(found.logits) / np.exp(found.logits).sum(-1, keepdims=True), rtol=1e-5
    )
    # A run of before there was a recipe.
    (run / "recipe.json").unlink()
    with pytest.raises(RunError, match="does not know what its columns were"):
        predictor.of_files(tmp_path / "new.npz")


def test_data_without_a_recipe_take_arrays_and_columns_by_name(tmp_path):
    spec = "synthetic:dominance=2/1,num_classes=3,samples=60"
    run = save_run(tmp_path / "run", ["masam"], experiment_on(spec))
    predictor = load_predictor(run)
    first, *others = predictor.modalities
    draws = np.random.default_rng(0)
    samples = {
        m: draws.normal(size=(4, *spec.shape)).astype(np.float32)
        for m, spec in predictor.modalities.items()
    }
    np.savez(tmp_path / "new.npz", **samples)
    direct = predictor(samples)
    found = predictor.of_files(tmp_path / "new.npz")
    np.testing.assert_array_equal(found.by_seed, direct.by_seed)
    columns = {f"{m}_{i}": x[:, i] for m, x in samples.items() for i in range(x.shape[1])}
    found = predictor.of_files(write_csv(tmp_path / "new.csv", columns))
    np.testing.assert_allclose(found.by_seed, direct.by_seed, rtol=2e-5, atol=1e-6)
    np.savez(tmp_path / "bad.npz", **{m: samples[m] for m in others})
    with pytest.raises(RunError, match=f"no array is called {first} or x_{first}"):
        predictor.of_files(tmp_path / "bad.npz")
