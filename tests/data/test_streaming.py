"""Batches that are read ahead are functions of seed, step and place alone."""

import itertools
import multiprocessing
import time

import chex
import jax
import numpy as np
import pytest

from masam_jax.data import index_batches
from masam_jax.data.streaming import ReadAhead, row_batches, training_batches

SEEDS = (4, 7)


@pytest.fixture(scope="module")
def food(prepared):
    """Images with augmentation, and tokens."""
    return prepared.open("food101")


@pytest.fixture(scope="module")
def indices(food):
    """Two seeds, batches of 5 of 22 rows: an epoch ends within a batch."""
    train = food.split(seed=0).train
    return index_batches(np.stack([train, train]), batch_size=5, seeds=SEEDS)


def _take(food, indices, count, **options):
    batches = training_batches(food.reader, indices, SEEDS, **options)
    found = list(itertools.islice(batches, count))
    batches.close()
    return found


@pytest.fixture(scope="module")
def expected(food, indices):
    return _take(food, indices, 6)


def _assert_equal(left, right):
    assert jax.tree.structure(left) == jax.tree.structure(right)
    chex.assert_trees_all_equal(left, right)


def test_batches_are_the_rows_of_their_step(food, indices, expected):
    plain = _take(food, indices, 6, augment=False)
    for step, batch in enumerate(plain):
        rows = indices[step]
        alone = food.reader(rows.reshape(-1))
        whole = jax.tree.map(lambda x: x.reshape(2, 5, *x.shape[1:]), alone)
        _assert_equal(batch, whole)
        # Tokens have no augmentation, images have.
        _assert_equal(batch.inputs["text"], expected[step].inputs["text"])
        assert (batch.inputs["image"] != expected[step].inputs["image"]).any()


@pytest.mark.parametrize("threads, ahead", [(1, 1), (3, 2), (8, 16)])
def test_threads_change_nothing(food, indices, expected, threads, ahead):
    _assert_equal(_take(food, indices, 6, ahead=ReadAhead(0, threads, ahead)), expected)


@pytest.mark.parametrize("workers", [1, 2])
def test_processes_change_nothing_and_end(food, indices, expected, workers):
    before = set(multiprocessing.active_children())
    _assert_equal(_take(food, indices, 6, ahead=ReadAhead(workers, 2, 2)), expected)
    # Where the machine is busy, they take a while to end.
    deadline = time.monotonic() + 60
    while set(multiprocessing.active_children()) != before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert set(multiprocessing.active_children()) == before


def test_beginning_later_is_leaving_out_what_was_before(food, indices, expected):
    _assert_equal(_take(food, indices, 2, start=4), expected[4:])


def test_augmentation_differs_between_epochs_seeds_and_places(food):
    row = food.split(seed=0).train[:1]
    indices = index_batches(np.stack([row, row]), batch_size=1, seeds=SEEDS)
    images = [
        batch.inputs["image"][seed, 0].tobytes()
        for batch in _take(food, indices, 3)
        for seed in range(2)
    ]
    assert len(set(images)) == 6
    repeated = np.repeat(row, 4)[None]
    batch = training_batches(food.reader, index_batches(repeated, batch_size=4, seeds=(0,)), (0,))
    assert len({image.tobytes() for image in next(batch).inputs["image"][0]}) == 4
    batch.close()


@pytest.mark.parametrize("box", [np.s_[:, 2:4], np.s_[1:2, :], np.s_[0:1, 3:5]])
def test_a_box_is_a_part_of_the_whole(food, indices, expected, box):
    parts = _take(food, indices, 6, box=box)
    _assert_equal(parts, [jax.tree.map(lambda x: x[box], batch) for batch in expected])


@pytest.mark.parametrize("count, size, batches", [(7, 3, 3), (6, 3, 2), (2, 5, 1), (1, 1, 1)])
def test_rows_are_filled_up_with_the_last(food, count, size, batches):
    rows = np.arange(20, 20 - count, -1)
    found = list(row_batches(food.reader, rows, size))
    assert [len(batch.present["text"]) for batch in found] == [size] * batches
    whole = jax.tree.map(lambda *each: np.concatenate(each), *found)
    padded = np.concatenate([rows, np.repeat(rows[-1:], batches * size - count)])
    _assert_equal(whole, food.reader(padded))


def test_no_rows_are_no_batches(food):
    assert list(row_batches(food.reader, np.empty(0, np.int32), 4)) == []
