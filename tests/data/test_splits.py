import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from masam_jax.data import Split, hold_out, load_mfeat, make_split, split_digest

LABELS = np.repeat(np.arange(10), 200)


def _rows(split: Split) -> np.ndarray:
    return np.concatenate(split)


def test_default_sizes_are_stratified_and_disjoint():
    split = make_split(LABELS, seed=0)
    assert [part.dtype for part in split] == [np.int32] * 3
    assert [len(part) for part in split] == [100, 400, 1000]
    for part in split:
        assert np.bincount(LABELS[part]).tolist() == [len(part) // 10] * 10
        assert (np.diff(part) > 0).all()
    assert len(np.unique(_rows(split))) == 1500


def test_test_and_validation_belong_to_split_seed_and_train_to_seed():
    first, second = make_split(LABELS, seed=0), make_split(LABELS, seed=1)
    np.testing.assert_array_equal(first.test, second.test)
    np.testing.assert_array_equal(first.validation, second.validation)
    assert not np.array_equal(first.train, second.train)
    other = make_split(LABELS, seed=0, split_seed=1)
    assert not np.array_equal(first.test, other.test)
    assert not np.array_equal(first.validation, other.validation)


def test_test_rows_do_not_depend_on_the_other_sizes():
    small = make_split(LABELS, seed=0, train_size=50, validation_size=100)
    np.testing.assert_array_equal(small.test, make_split(LABELS, seed=0).test)


def test_no_train_size_takes_the_whole_pool():
    split = make_split(LABELS, seed=0, train_size=None)
    np.testing.assert_array_equal(np.sort(_rows(split)), np.arange(2000))
    np.testing.assert_array_equal(split.train, make_split(LABELS, seed=7, train_size=None).train)


def test_recorded_digests_never_change():
    # The splits of published numbers: a change here means that old results compare with nothing.
    labels = load_mfeat().labels
    assert split_digest(make_split(labels, seed=0)) == (
        "7d59c9457a8a7573c0e035b8e6b63da0d0787f00797230b07c57b5e921be2306"
    )
    assert split_digest(make_split(labels, seed=1)) == (
        "4de7807a17ca0f54f352ce2d68eff5a7a6cb9ae5ed62f02b7edb10cd49b14ad5"
    )


def test_digest_tells_parts_apart_and_ignores_the_integer_type():
    split = make_split(LABELS, seed=0)
    wide = Split(*(part.astype(np.int64) for part in split))
    assert split_digest(wide) == split_digest(split)
    swapped = Split(split.validation, split.train, split.test)
    assert split_digest(swapped) != split_digest(split)


@hypothesis.given(
    counts=st.lists(st.integers(1, 12), min_size=1, max_size=6),
    shares=st.tuples(*[st.floats(0, 0.5)] * 2),
    seed=st.integers(0, 2**40),
)
def test_any_class_balance_is_kept_to_within_one_row(counts, shares, seed):
    labels = np.repeat(np.arange(len(counts)), counts)
    test, validation = (int(share * (len(labels) - 1)) for share in shares)
    split = make_split(
        labels, seed=seed, train_size=None, test_size=test, validation_size=validation
    )
    np.testing.assert_array_equal(np.sort(_rows(split)), np.arange(len(labels)))
    assert (len(split.test), len(split.validation)) == (test, validation)
    expected = test * np.array(counts) / len(labels)
    found = np.bincount(labels[split.test], minlength=len(counts))
    assert (np.abs(found - expected) < 1).all()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"train_size": 601}, r"train_size is 601.*leave 600.*1\.\.600"),
        ({"train_size": 0}, "train_size is 0"),
        ({"test_size": 1600}, "leave no row of 2000"),
        ({"test_size": -1}, "test_size must be an integer >= 0, got -1"),
        ({"validation_size": -1}, "validation_size must be an integer >= 0, got -1"),
        ({"seed": -1}, "seed must be an integer >= 0, got -1"),
        ({"split_seed": -3}, "split_seed must be an integer >= 0, got -3"),
        ({"labels": LABELS[:, None]}, r"shape \(2000, 1\)"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_split(**({"labels": LABELS, "seed": 0} | arguments))


def test_samples_with_several_labels_are_held_out_by_chance():
    labels = np.eye(3, dtype=np.int32)[np.arange(40) % 3]
    train = np.arange(0, 40, 2, dtype=np.int32)
    fit, held_out = hold_out(labels, train, share=0.25, seed=1)
    assert len(held_out) == 5
    np.testing.assert_array_equal(np.union1d(fit, held_out), train)
    same = hold_out(np.zeros(40, np.int32), train, share=0.25, seed=1)
    np.testing.assert_array_equal(same[1], held_out)
    whole, none = hold_out(labels, train, share=0.0, seed=1)
    assert (len(whole), len(none)) == (20, 0)
