import numpy as np
import pytest

from masam_jax.data import MultimodalData
from masam_jax.data.own.checks import suspicions
from masam_jax.data.own.opening import open_own
from masam_jax.data.own.options import OwnOptions
from masam_jax.data.splits import Split
from tests.data.own.small_files import small_columns, write_csv

LABELS = np.arange(40) % 2
NOISE = np.random.default_rng(0).normal(size=(40, 3))


@pytest.mark.parametrize(
    "features, words",
    [
        ({"a": NOISE}, None),
        ({"a": NOISE, "b": LABELS[:, None] * 2.5}, "modality 'b' tells the class of every row"),
        ({"a": np.c_[NOISE, -LABELS]}, "feature 3 of modality 'a' tells the class"),
        ({"a": NOISE, "b": np.full((40, 2), 7)}, "modality 'b' is the same in every row"),
        ({"a": NOISE[np.r_[0:39, 0]]}, "1 of 10 test samples are in the training samples, too"),
    ],
)
def test_what_is_odd_is_said(features, words):
    data = MultimodalData(features, LABELS, name="mine")
    rows = np.arange(40)
    found = suspicions(data, [Split(rows[:24], rows[24:30], rows[30:])])
    assert len(found) == (words is not None)
    assert words is None or words in found[0]


@pytest.mark.parametrize(
    "name, values, words",
    [
        ("sensor_3", [1.5, -2, 8], "feature 3 of modality 'sensor' (column 'sensor_3') tells"),
        ("leak", [4, 2, 7], "modality 'numbers' (column 'leak') tells the class"),
    ],
)
def test_the_column_that_tells_the_class_is_named(tmp_path, name, values, words):
    path = write_csv(tmp_path / "a.csv", {**small_columns(30), name: values * 10})
    data = open_own(str(path), OwnOptions(label="species", group="patient")).data
    (found,) = suspicions(data, [])
    assert words in found


def test_classes_that_are_judged_alone_are_said():
    labels = np.array(["oak", "elm", "ash"] * 10)
    data = MultimodalData({"a": np.random.default_rng(0).normal(size=(30, 2))}, labels, name="mine")
    rows = np.arange(30)
    split = Split(rows[labels != "elm"], rows[:0], rows[labels == "elm"])
    (found,) = suspicions(data, [split])
    assert "1 of 3 classes have no training sample, and are to be predicted ('elm')" in found


def test_rows_that_lack_a_modality_are_not_compared():
    features = {"a": NOISE, "b": np.where(LABELS[:, None], 0.0, NOISE)}
    data = MultimodalData(features, LABELS, present={"b": LABELS == 0})
    assert suspicions(data, []) == ()
