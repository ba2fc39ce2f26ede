"""The contract's checks under the transformations of JAX, on many devices, and in storage."""

import pickle
import tempfile
from pathlib import Path
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from tests.contract.contract import (
    DEVICES,
    Factory,
    Run,
    assert_same,
    batches,
    check,
    make_step,
    parameters,
    subject,
    train,
)


def _descriptions(tree: Any) -> Any:
    return jax.tree.map(lambda x: (x.shape, x.dtype, x.weak_type), tree)


@check
def init_is_a_function_of_shapes(factory: Factory) -> None:
    tx, params = subject(factory).tx, parameters()
    state = tx.init(params)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(state))
    chex.assert_trees_all_equal_shapes_and_dtypes(jax.eval_shape(tx.init, params), state)
    chex.assert_trees_all_equal(jax.jit(tx.init)(params), state)


@check
def state_keeps_its_structure(factory: Factory) -> None:
    tx, step, _ = subject(factory)
    run = Run(parameters(), tx.init(parameters()))
    for batch in batches():
        before, run = run, step(*run, *batch)
        chex.assert_trees_all_equal_structs(run, before)
        assert _descriptions(run) == _descriptions(before)


@check
def compiles_once(factory: Factory) -> None:
    tx, step, _ = subject(factory)
    train(tx, step=step)
    assert step._cache_size() == 1


@check
def moves_nothing_to_the_host(factory: Factory) -> None:
    tx, step, want = subject(factory)
    data, run = batches(), Run(parameters(), tx.init(parameters()))
    with jax.transfer_guard("disallow"):
        for batch in data:
            run = step(*run, *batch)
    assert_same(run, want, tolerance=0.0)


@check
def donates_its_buffers(factory: Factory) -> None:
    tx, _, want = subject(factory)
    run = jax.tree.map(jnp.copy, Run(parameters(), tx.init(parameters())))
    step = jax.jit(make_step(tx), donate_argnums=(0, 1))
    for batch in batches():
        before, run = run, step(*run, *batch)
        # XLA never sees a scalar that the step overwrites unread, and so leaves it alone.
        assert all(leaf.is_deleted() for leaf in jax.tree.leaves(before) if leaf.ndim)
    assert_same(run, want)


@check
def maps_over_seeds(factory: Factory) -> None:
    tx, one_step, _ = subject(factory)
    seeds = [parameters(seed) for seed in range(3)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *seeds)
    step = jax.jit(jax.vmap(make_step(tx), in_axes=(0, 0, None, None)))
    run = Run(stacked, jax.vmap(tx.init)(stacked))
    for batch in batches():
        run = step(*run, *batch)
    for index, params in enumerate(seeds):
        one = jax.tree.map(lambda x, i=index: x[i], run)
        assert_same(one, train(tx, params, step=one_step), tolerance=1e-4)


def _mesh() -> Mesh:
    return jax.make_mesh((DEVICES,), ("devices",), axis_types=(AxisType.Auto,))


@check
def eight_devices_under_pmap_equal_one(factory: Factory) -> None:
    tx, _, want = subject(factory)
    step = jax.pmap(
        make_step(tx, axis_name="devices"), axis_name="devices", in_axes=(None, None, 0, 0)
    )
    run = Run(parameters(), tx.init(parameters()))
    for batch in batches():
        shards = jax.tree.map(lambda x: x.reshape(DEVICES, -1, *x.shape[1:]), batch)
        everywhere = jax.device_get(step(*run, *shards))
        for leaf in jax.tree.leaves(everywhere):
            np.testing.assert_array_equal(leaf, np.broadcast_to(leaf[:1], leaf.shape))
        run = jax.tree.map(lambda x: x[0], everywhere)
    assert_same(run, want, tolerance=1e-4)


@check
def eight_devices_under_shard_map_equal_one(factory: Factory) -> None:
    tx, _, want = subject(factory)
    whole, shards = PartitionSpec(), PartitionSpec("devices")
    step = jax.shard_map(
        make_step(tx, axis_name="devices"),
        mesh=_mesh(),
        in_specs=(whole, whole, shards, shards),
        out_specs=whole,
    )
    assert_same(train(tx, step=jax.jit(step)), want, tolerance=1e-4)


def _replicated(tree: Any) -> Any:
    return jax.device_put(tree, NamedSharding(_mesh(), PartitionSpec()))


@check
def sharded_batches_give_the_same(factory: Factory) -> None:
    tx, _, want = subject(factory)
    sharding = NamedSharding(_mesh(), PartitionSpec("devices"))
    data = [jax.device_put(batch, sharding) for batch in batches()]
    run = train(tx, _replicated(parameters()), data=data)
    assert_same(run, want, tolerance=1e-4)


@check
def sharded_parameters_give_the_same(factory: Factory) -> None:
    tx, _, want = subject(factory)
    sharding = NamedSharding(_mesh(), PartitionSpec("devices"))
    params = jax.device_put(parameters(), sharding)
    run = train(tx, params, data=[_replicated(batch) for batch in batches()])
    assert_same(run, want, tolerance=1e-4)


@check
def state_can_be_pickled(factory: Factory) -> None:
    _, step, run = subject(factory)
    restored = pickle.loads(pickle.dumps(run))
    chex.assert_trees_all_equal_structs(restored, run)
    chex.assert_trees_all_equal(step(*restored, *batches()[0]), step(*run, *batches()[0]))


@check
def state_survives_orbax(factory: Factory) -> None:
    _, step, run = subject(factory)
    blank = jax.tree.map(jnp.zeros_like, run)
    with tempfile.TemporaryDirectory() as directory, ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(Path(directory) / "run", run)
        checkpointer.wait_until_finished()
        restored = checkpointer.restore(Path(directory) / "run", blank)
    chex.assert_trees_all_equal_structs(restored, run)
    chex.assert_trees_all_equal(step(*restored, *batches()[0]), step(*run, *batches()[0]))
