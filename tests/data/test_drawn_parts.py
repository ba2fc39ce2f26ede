import numpy as np
import pytest

from masam_jax.data import make_split
from masam_jax.data.drawn_parts import draw_parts, drawn_split, rows_of_parts

LABELS = np.arange(90) % 3
GROUPS = np.array([f"g{row // 6}" for row in range(90)])


def _disjoint(split, total):
    rows = np.concatenate(split)
    assert len(set(rows.tolist())) == len(rows) == total


def test_shares_of_all_rows_stratified_as_make_split_does():
    split = drawn_split(LABELS, None, seed=5, split_seed=2)
    assert [len(part) for part in split] == [63, 9, 18]
    expected = make_split(
        LABELS, seed=5, split_seed=2, train_size=None, validation_size=9, test_size=18
    )
    for part, wanted in zip(split, expected, strict=True):
        np.testing.assert_array_equal(part, wanted)


def test_sizes_from_one_on_are_numbers_of_rows():
    split = drawn_split(LABELS, None, seed=0, test_size=30, validation_size=6, train_size=12)
    assert [len(part) for part in split] == [12, 6, 30]
    assert np.bincount(LABELS[split.train]).tolist() == [4, 4, 4]


def test_no_group_is_in_two_parts():
    for split_seed in range(3):
        split = drawn_split(LABELS, GROUPS, seed=0, split_seed=split_seed)
        _disjoint(split, 90)
        names = [set(GROUPS[part].tolist()) for part in split]
        assert len(set.union(*names)) == sum(map(len, names))
        assert 12 <= len(split.test) <= 24


@pytest.mark.parametrize("groups", [None, GROUPS])
@pytest.mark.parametrize("labels", [LABELS, np.eye(3, dtype=int)[LABELS]])
def test_folds_cover_all_rows_once(labels, groups):
    parts = [draw_parts(labels, groups, seed=0, folds=5, fold=fold) for fold in range(5)]
    tests = [np.flatnonzero(each == "test") for each in parts]
    _disjoint(tests, 90)
    if groups is None and labels.ndim == 1:
        assert all(np.bincount(labels[test]).tolist() == [6, 6, 6] for test in tests)


def test_parts_that_are_given_stay():
    given = np.array(["train", "test", ""] * 30)
    split = rows_of_parts(draw_parts(LABELS, None, given, seed=0), LABELS, seed=0)
    np.testing.assert_array_equal(split.test, np.flatnonzero(given == "test"))
    assert len(split.validation) == 9
    assert set(np.concatenate(split[:2]).tolist()) == set(np.flatnonzero(given == "train").tolist())


@pytest.mark.parametrize(
    "options, words",
    [
        ({"test_size": 90}, "test: 90 of 90 rows are asked for"),
        ({"folds": 91}, "fold 0 of 91 is asked for, of 90 rows"),
        ({"folds": 5, "fold": 5}, "fold 5 of 5"),
        ({"groups": np.full(90, "one")}, "groups: 1 is left"),
        ({"groups": GROUPS, "folds": 16}, "of 15 groups"),
    ],
)
def test_what_cannot_be_drawn_is_said(options, words):
    with pytest.raises(ValueError, match=words):
        draw_parts(LABELS, **{"groups": None, "seed": 0, **options})


def test_a_number_of_rows_is_about_so_many_of_whole_groups():
    for size in (7, 20, 40):
        split = drawn_split(LABELS, GROUPS, seed=0, test_size=size, validation_size=6)
        assert abs(len(split.test) - size) <= 12
        assert len(set(GROUPS[split.test]) & set(GROUPS[split.train])) == 0
