"""Where arrays live, and that it does not change what is computed."""

import jax
import numpy as np
import pytest

from masam_jax.methods import parse_method
from masam_jax.training.distribution import make_placement
from masam_jax.training.seed_step import SeedStep
from masam_jax.training.state import init_state
from masam_jax.training.task import Task


@pytest.mark.parametrize(
    "seeds, batch, devices, words",
    [
        (16, 100, 8, "8 devices (cpu), seeds sharded"),
        (8, 7, 8, "8 devices (cpu), seeds sharded"),
        (3, 16, 8, "8 devices (cpu), batch sharded"),
        (4, 10, 8, "5 devices (cpu), batch sharded"),
        (5, 7, 8, "7 devices (cpu), batch sharded"),
        (1, 1, 8, "1 device (cpu)"),
        (3, 5, 1, "1 device (cpu)"),
    ],
)
def test_placement(seeds, batch, devices, words):
    placement = make_placement(seeds, batch, jax.devices()[:devices])
    assert placement.description == words


def test_put_and_fetch_are_inverse():
    placement = make_placement(4, 10, jax.devices()[:4])
    tree = {"a": np.arange(8.0).reshape(4, 2), "b": np.arange(4)}
    placed = placement.put(tree, placement.seeds)
    assert len(placed["a"].sharding.device_set) == 4
    assert placed["a"].addressable_shards[1].data.tolist() == [[2.0, 3.0]]
    fetched = placement.fetch(placed)
    assert all(np.array_equal(fetched[name], tree[name]) for name in tree)


@pytest.mark.parametrize("seeds, devices", [(4, 4), (3, 4), (1, 8)])
@pytest.mark.parametrize("spec", ["masam:rho=2", "sam:rho=0.5"])
def test_several_devices_train_as_one(make_problem, seeds, devices, spec):
    def train(count):
        problem = make_problem(seeds, devices=count)
        assert problem.placement.mesh.size == count
        task = Task(problem, parse_method(spec))
        state, step = init_state(task), SeedStep(task)
        for index in range(4):
            state, losses = step(state, task.batches.at(index), index)
        shardings = {leaf.sharding for leaf in jax.tree.leaves((state.params, state.opt_state))}
        assert all(sharding.is_equivalent_to(problem.placement.seeds, 1) for sharding in shardings)
        return jax.device_get(state.params), np.asarray(losses.total)

    ours, our_loss = train(devices)
    theirs, their_loss = train(1)
    np.testing.assert_allclose(our_loss, their_loss, rtol=1e-4)
    for left, right in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(left, right, rtol=2e-3, atol=2e-5)
