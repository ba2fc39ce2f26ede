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

from tests.contract import (
    DEVICES,
    Factory,
    Run,
    assert_same,
    batches,
    check,
    make_step,
    parameters,
    train,
    with_base,
)
from tests.networks import labels_of


def _descriptions(tree: Any) -> Any:
    return jax.tree.map(
        lambda x: (jnp.shape(x), jnp.result_type(x), jnp.asarray(x).weak_type), tree
    )


@check
def init_has_an_abstract_value(factory: Factory) -> None:
    tx, params = factory(labels_of), parameters()
    chex.assert_trees_all_equal_shapes_and_dtypes(jax.eval_shape(tx.init, params), tx.init(params))


@check
def init_can_be_jitted(factory: Factory) -> None:
    tx, params = with_base(factory(labels_of)), parameters()
    assert_same(jax.jit(tx.init)(params), tx.init(params), tolerance=0.0)


@check
def state_keeps_its_structure(factory: Factory) -> None:
    tx, params = with_base(factory(labels_of)), parameters()
    state = tx.init(params)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(state))
    run = Run(params, state)
    step = jax.jit(make_step(tx))
    for batch in batches():
        before = run
        run = step(*run, *batch)
        assert jax.tree.structure(run) == jax.tree.structure(before)
        assert _descriptions(run) == _descriptions(before)


@check
def compiles_once(factory: Factory) -> None:
    tx, traces = with_base(factory(labels_of)), []
    step = make_step(tx)

    @jax.jit
    def counted(*arguments: Any) -> Run:
        traces.append(None)
        return step(*arguments)

    train(tx, step=counted)
    assert len(traces) == 1
    assert counted._cache_size() == 1


@check
def moves_nothing_to_the_host(factory: Factory) -> None:
    tx, params, data = with_base(factory(labels_of)), parameters(), batches()
    run, step = Run(params, tx.init(params)), jax.jit(make_step(tx))
    with jax.transfer_guard("disallow"):
        for batch in data:
            run = step(*run, *batch)
    chex.assert_tree_all_finite(run)


@check
def donates_its_buffers(factory: Factory) -> None:
    tx, params = with_base(factory(labels_of)), parameters()
    run = jax.tree.map(jnp.copy, Run(params, tx.init(params)))
    step = jax.jit(make_step(tx), donate_argnums=(0, 1))
    for batch in batches():
        before, run = run, step(*run, *batch)
        assert all(leaf.is_deleted() for leaf in jax.tree.leaves(before))
    assert_same(run, train(tx))


@check
def maps_over_seeds(factory: Factory) -> None:
    tx = with_base(factory(labels_of))
    seeds = [parameters(seed) for seed in range(3)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *seeds)
    step = jax.jit(jax.vmap(make_step(tx), in_axes=(0, 0, None, None)))
    run = Run(stacked, jax.vmap(tx.init)(stacked))
    for batch in batches():
        run = step(*run, *batch)
    for index, params in enumerate(seeds):
        one = jax.tree.map(lambda x, i=index: x[i], run)
        assert_same(one, train(tx, params), tolerance=1e-4)


@check
def scans_over_steps(factory: Factory) -> None:
    tx = with_base(factory(labels_of))
    step = make_step(tx)
    data = jax.tree.map(lambda *leaves: jnp.stack(leaves), *batches())
    run = Run(parameters(), tx.init(parameters()))
    final, _ = jax.jit(lambda r, d: jax.lax.scan(lambda c, b: (step(*c, *b), None), r, d))(
        run, data
    )
    assert_same(final, train(tx), tolerance=1e-4)


def _mesh() -> Mesh:
    return jax.make_mesh((DEVICES,), ("devices",), axis_types=(AxisType.Auto,))


@check
def eight_devices_under_pmap_equal_one(factory: Factory) -> None:
    tx = with_base(factory(labels_of))
    step = jax.pmap(
        make_step(tx, axis_name="devices"), axis_name="devices", in_axes=(None, None, 0, 0)
    )
    run = Run(parameters(), tx.init(parameters()))
    for batch in batches():
        shards = jax.tree.map(lambda x: x.reshape(DEVICES, -1, *x.shape[1:]), batch)
        everywhere = jax.device_get(step(*run, *shards))
        jax.tree.map(
            lambda x: np.testing.assert_array_equal(x, x[:1].repeat(DEVICES, 0)), everywhere
        )
        run = jax.tree.map(lambda x: x[0], everywhere)
    assert_same(run, train(tx), tolerance=1e-4)


@check
def eight_devices_under_shard_map_equal_one(factory: Factory) -> None:
    tx = with_base(factory(labels_of))
    whole, shards = PartitionSpec(), PartitionSpec("devices")
    step = jax.shard_map(
        make_step(tx, axis_name="devices"),
        mesh=_mesh(),
        in_specs=(whole, whole, shards, shards),
        out_specs=whole,
    )
    assert_same(train(tx, step=jax.jit(step)), train(tx), tolerance=1e-4)


@check
def sharded_batches_give_the_same(factory: Factory) -> None:
    tx, mesh = with_base(factory(labels_of)), _mesh()
    data = [jax.device_put(b, NamedSharding(mesh, PartitionSpec("devices"))) for b in batches()]
    params = jax.device_put(parameters(), NamedSharding(mesh, PartitionSpec()))
    assert_same(train(tx, params, data=data), train(tx), tolerance=1e-4)


@check
def sharded_parameters_give_the_same(factory: Factory) -> None:
    tx, mesh = with_base(factory(labels_of)), _mesh()

    def shard(x: jax.Array) -> jax.Array:
        axis = next((i for i, size in enumerate(x.shape) if size % DEVICES == 0), None)
        parts = () if axis is None else (*[None] * axis, "devices")
        return jax.device_put(x, NamedSharding(mesh, PartitionSpec(*parts)))

    params = jax.tree.map(shard, parameters())
    assert any(not x.sharding.is_fully_replicated for x in jax.tree.leaves(params))
    data = [jax.device_put(b, NamedSharding(mesh, PartitionSpec())) for b in batches()]
    assert_same(train(tx, params, data=data), train(tx), tolerance=1e-4)


@check
def state_can_be_pickled(factory: Factory) -> None:
    tx = with_base(factory(labels_of))
    run = train(tx)
    restored = pickle.loads(pickle.dumps(run))
    assert jax.tree.structure(restored) == jax.tree.structure(run)
    assert_same(restored, run, tolerance=0.0)
    step = jax.jit(make_step(tx))
    assert_same(step(*restored, *batches()[0]), step(*run, *batches()[0]), tolerance=0.0)


@check
def state_survives_orbax(factory: Factory) -> None:
    tx = with_base(factory(labels_of))
    run = train(tx)
    blank = jax.tree.map(jnp.zeros_like, Run(parameters(), tx.init(parameters())))
    with tempfile.TemporaryDirectory() as directory, ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(Path(directory) / "run", run)
        checkpointer.wait_until_finished()
        restored = checkpointer.restore(Path(directory) / "run", blank)
    assert jax.tree.structure(restored) == jax.tree.structure(run)
    assert_same(restored, run, tolerance=0.0)
