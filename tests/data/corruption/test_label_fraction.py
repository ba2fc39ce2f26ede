import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from masam_jax.data.corruption import labelled_rows

LABELS = np.repeat(np.arange(4), [100, 60, 30, 10])
ROWS = np.arange(1, 200, 2)


def test_the_share_of_the_rows_is_stratified():
    found = labelled_rows(LABELS, ROWS, fraction=0.3, seed=0)
    assert found.dtype == np.int32
    assert (np.diff(found) > 0).all()
    assert np.isin(found, ROWS).all()
    assert len(found) == 30
    assert np.abs(np.bincount(LABELS[found]) - 0.3 * np.bincount(LABELS[ROWS])).max() < 1


def test_recorded_draws_never_change():
    labels = np.repeat(np.arange(3), 8)
    found = labelled_rows(labels, np.arange(24), fraction=0.25, seed=7)
    assert found.tolist() == [1, 7, 13, 14, 20, 23]


@hypothesis.given(
    counts=st.lists(st.integers(0, 12), min_size=1, max_size=6).filter(any),
    low=st.floats(0.001, 1),
    high=st.floats(0.001, 1),
    seed=st.integers(0, 2**40),
)
def test_fractions_are_nested_and_leave_no_class_out(counts, low, high, seed):
    labels = np.repeat(np.arange(len(counts)), counts)
    rows = np.arange(len(labels))
    low, high = sorted((low, high))
    few, many = (labelled_rows(labels, rows, fraction=f, seed=seed) for f in (low, high))
    assert np.isin(few, many).all()
    present = np.unique(labels)
    np.testing.assert_array_equal(np.unique(labels[few]), present)
    assert len(few) == max(len(present), round(low * len(labels)))


def test_one_is_all_and_seeds_differ():
    np.testing.assert_array_equal(labelled_rows(LABELS, ROWS, fraction=1.0, seed=0), ROWS)
    first, second = (labelled_rows(LABELS, ROWS, fraction=0.5, seed=seed) for seed in (0, 1))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(labelled_rows(LABELS, ROWS[::-1], fraction=0.5, seed=0), first)


def test_every_row_is_as_likely():
    labels = np.repeat(np.arange(2), 5)
    drawn = [labelled_rows(labels, np.arange(10), fraction=0.4, seed=seed) for seed in range(1000)]
    # Binomial(1000, 2/5) has standard deviation 15.5; the seeds are fixed.
    assert np.abs(np.bincount(np.concatenate(drawn)) - 400).max() < 62


def test_many_labels_are_drawn_uniformly_and_nested():
    bits = (np.arange(200)[:, None] % np.arange(2, 5) == 0).astype(np.float32)
    few, many = (labelled_rows(bits, ROWS, fraction=f, seed=3) for f in (0.1, 0.4))
    assert (len(few), len(many)) == (10, 40)
    assert np.isin(few, many).all()
    assert np.isin(many, ROWS).all()
    assert len(labelled_rows(bits, ROWS, fraction=0.001, seed=3)) == 1


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"fraction": 0.0}, r"fraction must be a number in \(0, 1\], got 0.0"),
        ({"fraction": 1.1}, "fraction must be .*, got 1.1"),
        ({"fraction": float("nan")}, "fraction must be .*, got nan"),
        ({"rows": []}, "rows are empty"),
        ({"rows": [200]}, "rows run from 200"),
        ({"seed": -1}, "seed must be an integer >= 0, got -1"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        labelled_rows(**({"labels": LABELS, "rows": ROWS, "fraction": 0.5, "seed": 0} | arguments))
