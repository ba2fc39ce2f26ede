"""Batches with as many rows of every class."""

import numpy as np
import pytest

from masam_jax.data.balanced_order import balanced_batches

SEEDS = (0, 5)
LABELS = np.array([0] * 7 + [1] * 2 + [3])
ROWS = np.stack([np.arange(10), np.arange(10)[::-1]]) * 3
CLASSES = np.stack([LABELS, LABELS[::-1]])


def _stream(batch_size, steps, seeds=SEEDS, start=0):
    batches = balanced_batches(ROWS, CLASSES, batch_size=batch_size, seeds=seeds)
    return np.concatenate([batches[t] for t in range(start, start + steps)], axis=1)


def test_every_round_has_one_row_of_each_class():
    found = _stream(batch_size=6, steps=10)
    assert (found.dtype, found.shape) == (np.int32, (2, 60))
    rounds = np.sort(LABELS[found // 3].reshape(2, 20, 3), axis=-1)
    assert (rounds == [0, 1, 3]).all()
    # The order within a round is drawn.
    assert len({tuple(LABELS[r // 3]) for r in found[0].reshape(20, 3)}) > 2


def test_rows_of_a_class_take_turns():
    for own in _stream(batch_size=7, steps=9):
        for label in (0, 1, 3):
            rows = own[LABELS[own // 3] == label]
            size = np.count_nonzero(label == LABELS)
            epochs = rows[: len(rows) // size * size].reshape(-1, size)
            assert (np.sort(epochs, axis=1) == 3 * np.flatnonzero(label == LABELS)).all()
            if size == 7:
                assert not (epochs == epochs[0]).all()


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_batches_of_any_size_cut_the_same_order(batch_size):
    whole = _stream(batch_size=30, steps=1)
    parts = _stream(batch_size=batch_size, steps=30 // batch_size)
    assert np.array_equal(whole, parts)
    assert np.array_equal(whole[:, 20:], _stream(10, 1, start=2))


def test_a_seed_has_its_own_order_whoever_it_is_trained_with():
    both = _stream(batch_size=6, steps=4)
    assert not np.array_equal(both[0], both[1])
    alone = balanced_batches(ROWS[1:], CLASSES[1:], batch_size=6, seeds=SEEDS[1:])
    assert np.array_equal(alone[3][0], both[1, 18:])
