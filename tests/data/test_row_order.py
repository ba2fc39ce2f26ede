import pickle
import sys

import numpy as np
import pytest

from masam_jax.data import index_batches, make_split

ROWS = np.array([[10, 11, 12, 13, 14, 15, 16], [40, 41, 42, 43, 44, 45, 46]])


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 7])
def test_every_epoch_holds_every_row_exactly_once(batch_size):
    batches = index_batches(ROWS, batch_size=batch_size, seeds=[0, 1])
    stream = np.concatenate([batches[t] for t in range(7 * 4)], axis=1)
    for epoch in range(4 * batch_size):
        part = stream[:, epoch * 7 : (epoch + 1) * 7]
        np.testing.assert_array_equal(np.sort(part, axis=1), ROWS)


def test_elements_are_int32_of_seeds_by_batch():
    batch = index_batches(ROWS, batch_size=3, seeds=[0, 1])[0]
    assert batch.shape == (2, 3)
    assert batch.dtype == np.int32


def test_random_access_needs_the_step_alone():
    batches = index_batches(ROWS, batch_size=3, seeds=[4, 9])
    in_order = [batches[t] for t in range(40)]
    for step in (39, 3, 17, 0):
        fresh = index_batches(ROWS, batch_size=3, seeds=[4, 9])
        np.testing.assert_array_equal(fresh[step], in_order[step])


def test_far_steps_are_reached():
    batches = index_batches(ROWS, batch_size=7, seeds=[0, 1])
    assert len(batches) == sys.maxsize
    np.testing.assert_array_equal(np.sort(batches[10**9], axis=1), ROWS)


def test_a_seeds_order_does_not_depend_on_the_other_seeds():
    both = index_batches(ROWS, batch_size=3, seeds=[4, 9])
    alone = index_batches(ROWS[1:], batch_size=3, seeds=[9])
    for step in range(10):
        np.testing.assert_array_equal(both[step][1:], alone[step])


def test_epochs_and_neighbouring_seeds_have_their_own_orders():
    rows = np.tile(np.arange(30), (3, 1))
    batches = index_batches(rows, batch_size=30, seeds=[0, 1, 2])
    orders = {batches[epoch][seed].tobytes() for epoch in range(5) for seed in range(3)}
    assert len(orders) == 15


def test_order_is_independent_of_the_draw_of_the_split():
    labels = np.zeros(12, np.int64)
    split = make_split(labels, seed=5, train_size=12, validation_size=0, test_size=0)
    first = index_batches(split.train[None], batch_size=12, seeds=[5])[0][0]
    assert not np.array_equal(first, split.train)


def test_changing_the_callers_array_changes_nothing():
    rows = ROWS.astype(np.int32)
    batches = index_batches(rows, batch_size=7, seeds=[0, 1])
    rows[:] = 0
    np.testing.assert_array_equal(np.sort(batches[0], axis=1), ROWS)


def test_works_as_a_grain_iterator_with_checkpoints():
    batches = index_batches(ROWS, batch_size=3, seeds=[0, 1])
    iterator = iter(batches.to_iter_dataset())
    for step in range(4):
        np.testing.assert_array_equal(next(iterator), batches[step])
    state = iterator.get_state()
    resumed = iter(index_batches(ROWS, batch_size=3, seeds=[0, 1]).to_iter_dataset())
    resumed.set_state(state)
    for step in range(4, 8):
        np.testing.assert_array_equal(next(resumed), batches[step])


def test_travels_to_worker_processes():
    batches = index_batches(ROWS, batch_size=3, seeds=[0, 1])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(batches))[5], batches[5])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"batch_size": 8}, r"batch_size is 8; with 7 training rows it must lie in 1\.\.7"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"seeds": [0]}, "seeds has 1 entries and train_indices 2"),
        ({"seeds": [0, -1]}, r"seeds are \(0, -1\)"),
        ({"train_indices": ROWS[0]}, r"shape \(7,\)"),
        ({"train_indices": ROWS.astype(float)}, "float64"),
        ({"train_indices": ROWS[:0], "seeds": []}, "at least one"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        index_batches(**({"train_indices": ROWS, "batch_size": 2, "seeds": [0, 1]} | arguments))
