"""Counts of classes, by an independent count."""

import numpy as np
import pytest

from masam_jax.config.errors import RunError
from masam_jax.training.class_counts import count_classes, write_counts
from masam_jax.training.storage.sealed_files import read_sealed_json


@pytest.mark.parametrize("classes", [2, 3, 10, 101])
@pytest.mark.parametrize("seeds", [1, 4])
def test_confusion_is_a_count(classes, seeds):
    rng = np.random.default_rng(classes)
    labels, found = rng.integers(0, classes, (2, seeds, 200)).astype(np.int32)
    expected = np.zeros((seeds, classes, classes), np.int64)
    for seed in range(seeds):
        for truth, predicted in zip(labels[seed], found[seed], strict=True):
            expected[seed, truth, predicted] += 1
    counts = count_classes(labels, found, classes)
    assert counts.dtype == np.int64
    np.testing.assert_array_equal(counts, expected)


@pytest.mark.parametrize("count", [1, 2, 25])
def test_each_of_several_labels_has_a_table_of_its_own(count):
    rng = np.random.default_rng(count)
    labels, found = rng.integers(0, 2, (2, 3, 50, count))
    expected = np.zeros((3, count, 2, 2), np.int64)
    for seed, row, label in np.ndindex(labels.shape):
        expected[seed, label, labels[seed, row, label], found[seed, row, label]] += 1
    np.testing.assert_array_equal(count_classes(labels, found, count), expected)


def test_no_sample_is_counted_as_none():
    assert (
        count_classes(np.zeros((2, 0), int), np.zeros((2, 0), int), 3).tolist()
        == [[[0] * 3] * 3] * 2
    )


def test_what_is_written(tmp_path):
    write_counts(tmp_path, "test", [0, 1], np.arange(8).reshape(2, 2, 2))
    assert (tmp_path / "confusion.json").read_text().count("\n") == 1
    assert read_sealed_json(tmp_path / "confusion.json") == {
        "split": "test",
        "seeds": [0, 1],
        "counts": [[[0, 1], [2, 3]], [[4, 5], [6, 7]]],
    }


def test_a_changed_count_is_noticed(tmp_path):
    write_counts(tmp_path, "test", [0], np.arange(4).reshape(1, 2, 2))
    path = tmp_path / "confusion.json"
    path.write_text(path.read_text().replace("[0, 1]", "[9, 1]"))
    with pytest.raises(RunError, match=r"confusion\.json is damaged"):
        read_sealed_json(path)
