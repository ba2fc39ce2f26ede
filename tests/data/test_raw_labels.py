"""Labels as people have them."""

import numpy as np
import pytest

from masam_jax.data import MultimodalData
from masam_jax.data.raw_labels import as_labels


@pytest.mark.parametrize(
    "labels, classes, found",
    [
        ([[0], [2], [1]], 3, [0, 2, 1]),
        (np.array([[0.0], [1.0]]), 2, [0, 1]),
        ([0.0, 2.0, 1.0], 3, [0, 2, 1]),
        ([True, False], 2, [1, 0]),
        ([[True, False], [True, True]], 2, [[1, 0], [1, 1]]),
        ([[0], [1]], 1, [[0], [1]]),
        (np.array([0, 1], np.uint8), 2, [0, 1]),
    ],
)
def test_what_is_plain_is_read(labels, classes, found):
    array = as_labels(labels, classes)
    assert np.issubdtype(array.dtype, np.integer)
    np.testing.assert_array_equal(array, found)


@pytest.mark.parametrize(
    "labels, classes, message",
    [
        (np.eye(3), 3, r"give labels\.argmax\(axis=1\) for the one, labels\.astype\(int\)"),
        ([[0, 1], [2]], 3, "lists of different lengths; .* zeros and ones"),
        (["cat", "dog"], 2, r"numpy\.unique\(labels, return_inverse=True\)\[1\]"),
        ([0.5, 1.0], 2, "no whole numbers"),
        ([np.nan, 1.0], 2, "no whole numbers"),
        ([np.inf, 1.0], 2, "no whole numbers"),
        ([1e300, 1.0], 2, "no whole numbers"),
        ([1j, 1.0], 2, "complex128; integers are needed"),
        ([0, 2], 2, r"run from 0 to 2.*0\.\.1"),
        ([-1, 0], 2, "run from -1"),
        ([], 2, "non-empty"),
        (3, 2, r"shape \(\)"),
        ([0, 0], 1, "num_classes is 1; at least 2"),
        (np.zeros((2, 2, 2), int), 2, "shape"),
        ([None, 1], 2, "dtype object"),
    ],
)
def test_what_is_not_is_refused_with_the_cure(labels, classes, message):
    with pytest.raises(ValueError, match=message):
        as_labels(labels, classes)


@pytest.mark.parametrize(
    ("labels", "cure"),
    [
        (np.eye(3)[[0, 1, 2]] * 0.9 + 0.03, r"neither 0 nor 1; of probabilities, labels\.argmax"),
        ([0, 1, None, 2], r"row 2 holds None; leave rows"),
        ([[0, 1, 0], [1, None, 0]], r"row 1 holds None"),
        ([0.0, 1.0, np.nan], r"some are no whole numbers, nan in row 2 for one; leave rows"),
        ([np.inf, 1.0], r"inf in row 0"),
        ([1, 2, 3], r"0\.\.2; labels - 1 do\."),
        ([[0, 1, 2]], r"or classes \[N\]"),
    ],
)
def test_the_cure_fits_what_was_found(labels, cure):
    with pytest.raises(ValueError, match=cure):
        as_labels(labels, 3)


def test_numbers_that_came_as_objects_are_numbers():
    labels = as_labels(np.array([0, 2, np.int64(1), True], object), 3)
    np.testing.assert_array_equal(labels, [0, 2, 1, 1])


def test_specs_are_modalities():
    with pytest.raises(ValueError, match=r"specs\['a'\] is a NoneType; a Modality is needed"):
        MultimodalData("toy", {"a": np.ones((2, 3))}, [0, 1], 2, specs={"a": None})
