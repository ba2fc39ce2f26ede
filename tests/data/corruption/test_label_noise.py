import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from masam_jax.data.corruption import noisy_labels

LABELS = np.repeat(np.arange(5), [10, 20, 30, 40, 100])
ROWS = np.setdiff1d(np.arange(200), np.arange(0, 200, 4))
BITS = (np.random.default_rng(0).random((60, 4)) < 0.3).astype(np.float32)


def _noisy(labels=LABELS, rows=ROWS, *, num_classes=5, kind="symmetric", rate=0.4, seed=0):
    return noisy_labels(labels, rows, num_classes=num_classes, kind=kind, rate=rate, seed=seed)


@pytest.mark.parametrize("kind", ["symmetric", "asymmetric"])
def test_an_exact_stratified_share_of_the_rows_and_no_other(kind):
    noisy = _noisy(kind=kind)
    assert noisy.labels.dtype == noisy.flipped.dtype == np.int32
    np.testing.assert_array_equal(noisy.flipped, np.flatnonzero(noisy.labels != LABELS))
    assert len(noisy.flipped) == round(0.4 * len(ROWS))
    assert np.isin(noisy.flipped, ROWS).all()
    expected = 0.4 * np.bincount(LABELS[ROWS])
    assert np.abs(np.bincount(LABELS[noisy.flipped]) - expected).max() < 1


def test_asymmetric_takes_the_next_class():
    noisy = _noisy(kind="asymmetric")
    np.testing.assert_array_equal(noisy.labels[noisy.flipped], (LABELS[noisy.flipped] + 1) % 5)


def test_symmetric_is_uniform_over_the_other_classes():
    labels = np.full(10_000, 2)
    noisy = _noisy(labels, np.arange(10_000), rate=0.8)
    found = np.bincount(noisy.labels[noisy.flipped], minlength=5)
    assert found[2] == 0
    # Multinomial(8000, 1/4): a standard deviation of 39; the seed is fixed.
    assert np.abs(found[[0, 1, 3, 4]] - 2000).max() < 160


def test_recorded_draws_never_change():
    # Published numbers stand on these: a change here means that old results compare with nothing.
    labels = np.arange(12) % 3
    noisy = _noisy(labels, np.arange(12), num_classes=3, rate=0.5, seed=7)
    assert noisy.flipped.tolist() == [0, 2, 3, 4, 5, 10]
    assert noisy.labels.tolist() == [1, 1, 0, 1, 0, 1, 0, 1, 2, 0, 2, 2]


@pytest.mark.parametrize("kind", ["symmetric", "asymmetric"])
@pytest.mark.parametrize("labels, rows, num_classes", [(LABELS, ROWS, 5), (BITS, np.arange(40), 4)])
def test_a_higher_rate_keeps_what_a_lower_one_flipped(kind, labels, rows, num_classes):
    changed = np.zeros(labels.shape, bool)
    lower = labels
    for rate in (0.0, 0.1, 0.2, 0.4, 0.6, 0.8):
        noisy = _noisy(labels, rows, num_classes=num_classes, kind=kind, rate=rate).labels
        np.testing.assert_array_equal(noisy[changed], lower[changed])
        assert (noisy != labels).sum() > changed.sum() or rate == 0
        changed, lower = noisy != labels, noisy


@hypothesis.given(
    counts=st.lists(st.integers(0, 9), min_size=2, max_size=6).filter(any),
    low=st.floats(0, 0.8),
    high=st.floats(0, 0.8),
    seed=st.integers(0, 2**40),
)
def test_any_class_balance_is_exact_and_nested(counts, low, high, seed):
    labels = np.repeat(np.arange(len(counts)), counts)
    low, high = sorted((low, high))
    few, many = (
        _noisy(labels, np.arange(len(labels)), num_classes=len(counts), rate=rate, seed=seed)
        for rate in (low, high)
    )
    assert (len(few.flipped), len(many.flipped)) == tuple(
        round(rate * len(labels)) for rate in (low, high)
    )
    assert np.isin(few.flipped, many.flipped).all()


def test_seeds_differ_and_the_order_of_rows_does_not_matter():
    np.testing.assert_array_equal(_noisy().labels, _noisy(rows=ROWS[::-1]).labels)
    assert not np.array_equal(_noisy().labels, _noisy(seed=1).labels)
    # Of 60 flips chosen from 150, chance has 24 in common.
    assert len(np.intersect1d(_noisy().flipped, _noisy(seed=1).flipped)) < 40


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.uint8, np.bool_])
@pytest.mark.parametrize("kind", ["symmetric", "asymmetric"])
def test_entries_of_many_labels(kind, dtype):
    labels, rows = BITS.astype(dtype), np.arange(40)
    noisy = _noisy(labels, rows, num_classes=4, kind=kind, rate=0.25)
    changed = noisy.labels != labels
    assert noisy.labels.dtype == dtype
    assert set(np.unique(noisy.labels)) <= {0, 1}
    assert not changed[40:].any()
    entries = labels[rows].size if kind == "symmetric" else int(BITS[rows].sum())
    assert changed.sum() == round(0.25 * entries)
    if kind == "asymmetric":
        assert labels[changed].all()
    else:
        assert 0 < labels[changed].sum() < changed.sum()
    np.testing.assert_array_equal(noisy.flipped, np.flatnonzero(changed.any(axis=1)))


def test_the_given_labels_stay_as_they_are_and_may_be_read_only():
    for labels, num_classes in ((LABELS.copy(), 5), (BITS.copy(), 4)):
        labels.setflags(write=False)
        noisy = _noisy(labels, np.arange(50), num_classes=num_classes)
        assert not np.array_equal(noisy.labels, labels)
        assert noisy.labels.flags.writeable


def test_no_rows_no_noise():
    noisy = _noisy(rows=np.empty(0, np.int32))
    np.testing.assert_array_equal(noisy.labels, LABELS)
    assert noisy.flipped.shape == (0,)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"kind": "pair"}, r"kind must be one of .*'symmetric', 'asymmetric'.*, got 'pair'"),
        ({"rate": 0.81}, r"rate must be a number in \[0, 0.8\], got 0.81"),
        ({"rate": float("nan")}, "rate must be .*, got nan"),
        ({"rate": -0.1}, r"rate must be a number in \[0, 0.8\], got -0.1"),
        ({"seed": -1}, "seed must be an integer >= 0, got -1"),
        ({"num_classes": 4}, r"labels run from 0 to 4; .*0\.\.3"),
        ({"num_classes": 1}, "num_classes is 1; at least 2"),
        ({"rows": np.array([3, 3])}, "1 repeated"),
        ({"rows": np.array([200])}, r"rows run from 200 to 200; .*0\.\.199"),
        ({"rows": np.array([-1])}, "rows run from -1"),
        ({"rows": np.array([0.5])}, "rows have shape .* float64"),
        ({"labels": LABELS * 0.5}, "labels have shape .* float64"),
        ({"labels": BITS * 2, "rows": np.arange(3)}, "labels .* values other than 0 and 1"),
        ({"labels": BITS, "rows": np.arange(3)}, "num_classes is 5; .* K = 4"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        _noisy(**arguments)
