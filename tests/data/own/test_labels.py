"""Classes of new rows, by those that a run knows."""

from pathlib import Path

import numpy as np
import pytest

from masam_jax.data.own.columns import Columns, as_objects
from masam_jax.data.own.labels import new_labels


def columns_of(values, **named):
    return Columns("new.csv", {"label": values}, Path(), first_line=2, **named)


@pytest.mark.parametrize(
    ("values", "classes", "expected"),
    [
        (as_objects(["oak", "ash"]), ("ash", "elm", "oak"), [2, 0]),
        (np.array([2, 0]), ("ash", "elm", "oak"), [2, 0]),
        (np.array([3, 1]), ("1", "2", "3"), [2, 0]),
        (np.array([[0, 0, 1], [1, 0, 0]]), ("ash", "elm", "oak"), [2, 0]),
        # A list of one class is a list.
        (as_objects(["oak", "oak"]), ("ash", "elm", "oak"), [2, 2]),
    ],
)
def test_classes_are_those_of_the_run(values, classes, expected):
    found = new_labels(columns_of(values), ("label",), classes, False)
    assert (found.dtype, found.tolist()) == (np.int32, expected)


def test_names_of_the_file_come_before_its_numbers():
    columns = columns_of(np.array([0, 1]), class_names={"label": ("oak", "ash")})
    assert new_labels(columns, ("label",), ("ash", "elm", "oak"), False).tolist() == [2, 0]


def test_several_labels_of_which_each_row_has_one():
    array = np.array([[0, 1], [1, 0]])
    found = new_labels(columns_of(array), ("label",), ("tall", "old"), True)
    assert found.tolist() == array.tolist()


@pytest.mark.parametrize(
    ("values", "classes", "multi_label", "words"),
    [
        (as_objects(["fir", "ash"]), ("ash", "elm"), False, "'fir'"),
        (as_objects(["ash", None]), ("ash", "elm"), False, "line 3, column 'label': a label"),
        # No place in a list of classes that are numbers.
        (np.array([0, 1]), ("1", "2", "3"), False, "unknown class '0'"),
        (np.array([0, 3]), ("ash", "elm"), False, "labels run from 0 to 3"),
        (np.array([0, 1]), ("tall", "old"), True, "a row of the run has 2 labels"),
    ],
)
def test_others_are_refused(values, classes, multi_label, words):
    with pytest.raises(ValueError, match=r"^new\.csv") as error:
        new_labels(columns_of(values), ("label",), classes, multi_label)
    assert words in str(error.value)
