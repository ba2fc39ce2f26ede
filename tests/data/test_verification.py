"""Data sets that are read back: counts, statistics, and what is wrong with them."""

import json
import re

import numpy as np
import pytest

from masam_jax.data import make_synthetic
from masam_jax.data.builders.adni_table import ADNI_COLUMNS
from masam_jax.data.dataset_spec import parse_dataset
from masam_jax.data.in_memory import MultimodalData
from masam_jax.data.modality import Modality, Normalization
from masam_jax.data.on_disk import PreparedData
from masam_jax.data.prepare import open_builder, prepare_dataset
from masam_jax.data.verification import class_counts, verify_data
from tests.data.builders.sources import make_any_source


def prepare(name, place):
    make_any_source(name.partition(":")[0], place / "source")
    prepare_dataset(parse_dataset(name), place, place / "source")
    return place


def opened(name, place):
    return PreparedData(open_builder(parse_dataset(name), place), place)


@pytest.fixture(scope="module")
def adni(tmp_path_factory):
    return prepare("adni", tmp_path_factory.mktemp("adni"))


@pytest.fixture
def funny(tmp_path):
    """A prepared copy that a test may break."""
    return prepare("ur_funny:max_steps=8", tmp_path)


def _median(column):
    """Of the values that are there; 0 of PIB, which has none."""
    there = column[~np.isnan(column)]
    return np.median(there) if len(there) else 0.0


def labelled(features, specs, present=None, labels=(0, 1)):
    return MultimodalData("toy", features, np.array(labels), 2, specs=specs, present=present or {})


def tokens_and_steps(tokens, values, mask):
    """One data set of two samples, in which a test can put what is wrong."""
    specs = {
        "words": Modality("tokens", (3,), np.int32, Normalization("none"), 10),
        "steps": Modality("sequence", (3, 2)),
    }
    mask = np.array(mask)
    features = {
        "words": {"tokens": np.array(tokens, np.int32), "mask": mask},
        "steps": {"values": np.array(values, np.float32), "mask": mask},
    }
    return labelled(features, specs)


WHOLE = {
    "tokens": [[1, 2, 0], [9, 1, 3]],
    "values": [[[1, 1], [2, 1], [0, 0]], [[1, 0], [1, 1], [1, 2]]],
    "mask": [[True, True, False], [True, True, True]],
}


def test_prepared_data_are_counted_by_part_and_class(adni):
    data = opened("adni", adni)
    progress = []
    found = verify_data(data, progress=lambda *now: progress.append(now))
    assert not found.problems
    assert found.read == found.total == len(data) == 45
    assert progress == [(done, 45) for done in range(1, 46)]
    parts = data.split(seed=0)._asdict()
    assert set(found.parts) == {"train", "validation", "test"}
    for part, rows in parts.items():
        np.testing.assert_array_equal(found.parts[part], rows)
        expected = [(data.labels[rows] == label).sum() for label in range(3)]
        assert found.counts[part].tolist() == expected


def test_missing_values_are_counted_as_stored_and_filled_as_decoded(adni):
    data = opened("adni", adni)
    found = verify_data(data)
    stored = [data.reader.stored(row) for row in range(len(data))]
    for name in ADNI_COLUMNS:
        table = np.array([row[name] for row in stored], np.float64)
        np.testing.assert_allclose(found.nan_shares[name], np.isnan(table).mean(), rtol=1e-12)
        assert found.nan_shares[name] > 0.05
        median = [_median(column) for column in table[found.parts["train"]].T]
        filled = np.where(np.isnan(table), np.float32(median), table)
        np.testing.assert_allclose(
            found.statistics[name].column_mean, filled.mean(axis=0), rtol=1e-6
        )


def test_examples_are_of_different_classes(adni):
    found = verify_data(opened("adni", adni), examples=3)
    for part in ("train", "validation", "test"):
        mine = [example for example in found.examples if example.part == part]
        assert [int(example.label) for example in mine] == [0, 1, 2]
        assert all(set(example.sample) == {"mri", "tabular"} for example in mine)
    assert len({example.key for example in found.examples}) == 9


def test_rows_that_no_part_uses_are_named_so(tmp_path):
    make_any_source("adni", tmp_path / "source")
    table = next((tmp_path / "source").glob("*.csv"))
    lines = table.read_text().splitlines()
    first = lines[0].split(",")
    visit = first.index("VISCODE")
    later = [line.split(",") for line in lines[1:4]]
    for row in later:
        row[visit] = "m06"
    table.write_text("\n".join([*lines, *(",".join(row) for row in later)]) + "\n")
    prepare_dataset(parse_dataset("adni"), tmp_path, tmp_path / "source")
    found = verify_data(opened("adni", tmp_path))
    assert len(found.parts["unused"]) == 3
    assert sum(map(len, found.parts.values())) == found.total == 48
    assert "unused" not in verify_data(opened("adni:visit=all", tmp_path)).parts


@pytest.mark.parametrize("samples", [1, 7, 20])
def test_few_samples_are_spread_over_all(adni, samples):
    found = verify_data(opened("adni", adni), samples=samples, examples=1)
    assert found.read == samples
    assert found.total == 45
    assert sum(each.present for each in found.statistics.values()) == 2 * samples
    assert len(found.examples) == min(samples, 3)
    # Counts are those of all samples: they are in the index.
    assert sum(map(sum, found.counts.values())) == 45


def test_no_sample_is_refused(adni):
    with pytest.raises(ValueError, match="samples must be an integer >= 1, got 0"):
        verify_data(opened("adni", adni), samples=0)


def test_damaged_records_are_named(funny):
    place = funny / "ur_funny" / "1.0.0"
    shard = next(place.glob("*train*"))
    content = bytearray(shard.read_bytes())
    used = max(i for i, byte in enumerate(content) if byte)
    content[used * 3 // 4 : used * 3 // 4 + 64] = bytes(64)
    shard.write_bytes(content)
    data = opened("ur_funny:max_steps=8", funny)
    found = verify_data(data)
    assert 1 <= len(found.problems) < 24
    assert {problem.key for problem in found.problems} <= set(data.keys)
    assert "Corrupted" in found.problems[0].message
    assert found.statistics["text"].present == 40 - len(found.problems)


def test_records_that_are_not_those_of_the_index_are_named(funny):
    path = funny / "ur_funny" / "1.0.0" / "metadata.json"
    metadata = json.loads(path.read_text())
    table = metadata["index"]["test"]
    table["labels"][1] = 1 - table["labels"][1]
    table["keys"][0] = "stranger"
    path.write_text(json.dumps(metadata))
    found = verify_data(opened("ur_funny:max_steps=8", funny))
    assert [problem.key for problem in found.problems] == ["stranger", table["keys"][1]]
    assert "the index has 'stranger'" in found.problems[0].message
    assert f"with {table['labels'][1]} there" in found.problems[1].message


def test_training_samples_that_cannot_be_read_for_fitting_are_an_error(tmp_path):
    place = prepare("adni", tmp_path)
    shard = next((place / "adni" / "1.0.0").glob("*array_record*"))
    shard.write_bytes(b"")
    with pytest.raises(ValueError, match="adni: the training samples cannot be read: RuntimeError"):
        verify_data(opened("adni", place))


def test_data_in_memory_are_one_part():
    data = make_synthetic(samples=40)
    found = verify_data(data, examples=4)
    assert list(found.parts) == ["all"]
    assert found.counts["all"].tolist() == [10] * 4
    assert [int(example.label) for example in found.examples] == [0, 1, 2, 3]
    for name, values in data.features.items():
        np.testing.assert_allclose(found.statistics[name].mean, values.mean(dtype=np.float64))
    assert not found.problems
    assert not found.nan_shares


def test_absent_modalities_are_counted():
    features = {"a": np.ones((2, 3), np.float32), "b": np.zeros((2, 1), np.float32)}
    specs = {"a": Modality("vector", (3,)), "b": Modality("vector", (1,))}
    data = labelled(features, specs, present={"b": np.array([False, True])})
    found = verify_data(data)
    assert found.statistics["a"].missing_share == 0
    assert found.statistics["b"].missing_share == 0.5
    assert [sorted(example.sample) for example in found.examples] == [["a"], ["a", "b"]]


def test_whole_trees_are_accepted():
    assert not verify_data(tokens_and_steps(**WHOLE)).problems


@pytest.mark.parametrize(
    "change, message",
    [
        ({"tokens": [[1, 2, 5], [9, 1, 3]]}, "words: steps that are not real hold values"),
        ({"tokens": [[1, 12, 0], [9, 1, 3]]}, r"tokens run from 0 to 12; they must lie in 0\.\.9"),
        ({"tokens": [[1, -2, 0], [9, 1, 3]]}, "tokens run from -2 to 1"),
        (
            {"values": [[[1, 1], [2, 1], [0, 3]], [[1, 0], [1, 1], [1, 2]]]},
            "steps: steps that are not real hold values; zeros are needed",
        ),
    ],
)
def test_trees_that_are_not_as_said_are_named(change, message):
    found = verify_data(tokens_and_steps(**{**WHOLE, **change}))
    assert [problem.key for problem in found.problems] == ["0"]
    assert re.search(message, found.problems[0].message)
    assert found.statistics["words"].present == 1


def test_a_sample_of_another_shape_or_of_nothing_is_named():
    features = {"a": np.ones((2, 3), np.float32)}
    data = labelled(features, {"a": Modality("vector", (4,))})
    found = verify_data(data)
    assert "a: a sample has shape (3,)" in found.problems[0].message
    # Data in memory are checked at the door, those on the disk when they are read.
    data = labelled(features, {"a": Modality("vector", (3,))})
    object.__setattr__(data, "present", {"a": np.array([True, False])})
    found = verify_data(data)
    assert [problem.key for problem in found.problems] == ["1"]
    assert "the modalities are []" in found.problems[0].message


def test_several_labels_are_counted_each():
    labels = np.array([[1, 0, 1], [1, 0, 0]])
    assert class_counts(labels, 3).tolist() == [2, 0, 1]
    assert class_counts(np.array([2, 2, 0]), 4).tolist() == [1, 0, 2, 0]


def test_multi_label_data_are_read():
    labels = np.eye(6, 2, dtype=np.int32)
    data = MultimodalData("toy", {"a": np.ones((6, 2), np.float32)}, labels, 2)
    found = verify_data(data, examples=3)
    assert found.counts["all"].tolist() == [1, 1]
    assert {tuple(example.label.tolist()) for example in found.examples} == {(0, 0), (0, 1), (1, 0)}
