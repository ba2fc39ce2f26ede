"""Labels as people have them."""

import numpy as np
import pytest

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
