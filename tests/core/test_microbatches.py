"""A batch in parts: which samples share one, over sharded batches, and by which platform."""

import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from masam_jax import multimodal_value_and_grad
from masam_jax.core import microbatches
from masam_jax.core.microbatches import split_microbatches

DEVICES, BATCH, WIDTH = 4, 64, 8
COLLECTIVES = r"(collective-permute|all-gather|all-to-all)[\w-]*\("


def loss_fn(params, x):
    za, zv = jnp.tanh(x @ params["a"]), jnp.tanh(x @ params["v"])
    fusion = jnp.mean((jnp.concatenate([za, zv], axis=1) @ params["head"] - 1) ** 2)
    return fusion, {"a": jnp.mean((za - 0.3) ** 2), "v": jnp.mean((zv + 0.1) ** 2)}


def parameters():
    draw = np.random.default_rng(0).normal
    sizes = {"a": (WIDTH, WIDTH), "v": (WIDTH, WIDTH), "head": (2 * WIDTH,)}
    return {name: jnp.asarray(draw(size=size), jnp.float32) for name, size in sizes.items()}


INPUTS = np.random.default_rng(1).normal(size=(BATCH, WIDTH)).astype(np.float32)


def step(count):
    def run(params, x):
        losses, grads, signals = multimodal_value_and_grad(loss_fn, microbatches=count)(params, x)
        moved = jax.tree.map(lambda leaf: leaf * 1.1, params)
        return losses, grads, signals["fusion_grad_fn"](moved)

    return jax.jit(run)


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit], ids=["auto", "explicit"])
@pytest.mark.parametrize("form", ["unrolled", "scanned"])
@pytest.mark.parametrize("count", [2, 4])
def test_each_device_computes_its_own_rows_of_every_part(kind, form, count, monkeypatch):
    monkeypatch.setattr(microbatches, "_unrolled", getattr(microbatches, f"_{form}"))
    mesh = jax.make_mesh((DEVICES,), ("d",), axis_types=(kind,))
    params = jax.device_put(parameters(), NamedSharding(mesh, PartitionSpec()))
    x = jax.device_put(INPUTS, NamedSharding(mesh, PartitionSpec("d")))
    with jax.set_mesh(mesh):
        whole = step(1).lower(params, x).compile()
        parts = step(count).lower(params, x).compile()
        got = step(count)(params, x)
    assert not re.findall(COLLECTIVES, parts.as_text())
    # XLA counts the body of a loop once: one part of it, and what lies outside.
    share = 1 / count if form == "scanned" else 1
    flops = parts.cost_analysis()["flops"] / whole.cost_analysis()["flops"]
    assert share <= flops < 1.3 * share
    chex.assert_trees_all_close(
        jax.device_get(got), jax.device_get(step(1)(parameters(), INPUTS)), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("form", ["unrolled", "scanned"])
def test_sharded_parameters_on_explicit_axes(form, monkeypatch):
    monkeypatch.setattr(microbatches, "_unrolled", getattr(microbatches, f"_{form}"))
    mesh = jax.make_mesh((DEVICES,), ("d",), axis_types=(AxisType.Explicit,))
    columns = NamedSharding(mesh, PartitionSpec(None, "d"))
    whole = NamedSharding(mesh, PartitionSpec())
    params = jax.device_put(parameters(), {"a": columns, "v": columns, "head": whole})
    x = jax.device_put(INPUTS, whole)
    with jax.set_mesh(mesh):
        got = step(4)(params, x)
    want = step(1)(parameters(), INPUTS)
    chex.assert_trees_all_close(jax.device_get(got), jax.device_get(want), rtol=1e-4, atol=1e-6)


def test_a_part_holds_every_k_th_sample():
    tree = {"x": np.arange(12), "y": jnp.arange(24).reshape(12, 2), "key": jax.random.key(0)}
    tree["key"] = jax.random.split(tree["key"], 12)
    parts = split_microbatches(tree, 3)
    np.testing.assert_array_equal(parts["x"], [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]])
    np.testing.assert_array_equal(parts["y"][1], tree["y"][1::3])
    assert (parts["key"][2] == tree["key"][2::3]).all()


def test_the_platform_that_is_lowered_for_decides():
    traced = step(4).trace(parameters(), INPUTS)
    on_cpu = traced.lower(lowering_platforms=("cpu",)).as_text()
    elsewhere = traced.lower(lowering_platforms=("cuda",)).as_text()
    assert "stablehlo.while" not in on_cpu
    assert "stablehlo.while" in elsewhere
    # Nothing of the choice is left in the program.
    program = step(4).lower(parameters(), INPUTS).compile().as_text()
    assert not re.findall(r"\b(conditional|while|call)\(", program)


@pytest.mark.parametrize("count", [2, 8])
def test_python_traces_a_part_as_often_for_many_as_for_few(count):
    calls = []

    def counted(params, x):
        calls.append(len(x))
        return loss_fn(params, x)

    function = multimodal_value_and_grad(counted, microbatches=count)
    jax.jit(lambda *args: function(*args)[:2]).lower(parameters(), INPUTS)
    assert len(calls) == 2  # whether a loss is a WeightedMean, and the pass
    assert set(calls) == {BATCH // count}


@pytest.mark.parametrize("form", ["unrolled", "scanned"])
def test_a_loss_that_is_a_number_of_its_own(form, monkeypatch):
    monkeypatch.setattr(microbatches, "_unrolled", getattr(microbatches, f"_{form}"))

    def constant(params, x):
        return loss_fn(params, x)[0], {"a": 0.0, "v": jnp.float32(2.0)}

    losses, _, signals = jax.jit(multimodal_value_and_grad(constant, microbatches=2))(
        parameters(), INPUTS
    )
    assert {m: float(loss) for m, loss in losses.unimodal.items()} == {"a": 0.0, "v": 2.0}
    assert not any(jnp.any(leaf) for leaf in jax.tree.leaves(signals["unimodal_grads"]))


def test_a_batch_too_small_for_the_devices_of_its_type_is_refused():
    mesh = jax.make_mesh((DEVICES,), ("d",), axis_types=(AxisType.Explicit,))
    x = jax.device_put(INPUTS[:16], NamedSharding(mesh, PartitionSpec("d")))
    params = jax.device_put(parameters(), NamedSharding(mesh, PartitionSpec()))
    message = "8 microbatches of a batch of 16 have 2 samples each, which the 4 devices .* cannot"
    with jax.set_mesh(mesh), pytest.raises(ValueError, match=message):
        step(8)(params, x)


def near_the_top(params, x):
    """Gradients near float16's largest number, 65504: two of them have no sum there."""
    loss = jnp.mean(x) * params
    return loss, {"a": loss * jnp.float16(2**-10)}


@pytest.mark.parametrize("form", ["unrolled", "scanned"])
@pytest.mark.parametrize("traced", [True, False])
def test_a_mean_of_parts_in_float16_is_finite(form, traced, monkeypatch):
    monkeypatch.setattr(microbatches, "_unrolled", getattr(microbatches, f"_{form}"))
    function = multimodal_value_and_grad(near_the_top, microbatches=4)

    def run(params, x):
        losses, grads, signals = function(params, x)
        return losses.fusion, grads, signals["fusion_grad_fn"](params)

    x = jnp.full((8,), 32768, jnp.float16)
    loss, grads, perturbed = (jax.jit(run) if traced else run)(jnp.float16(1), x)
    assert (loss, grads, perturbed) == (32768, 32768 + 32, 32768)
    assert grads.dtype == jnp.float16


def test_a_mean_over_devices_in_float16_is_finite():
    mesh = jax.make_mesh((DEVICES,), ("d",), axis_types=(AxisType.Auto,))
    function = multimodal_value_and_grad(near_the_top, axis_name="d")
    run = jax.shard_map(
        lambda params, x: function(params, x)[1],
        mesh=mesh,
        in_specs=(PartitionSpec(), PartitionSpec("d")),
        out_specs=PartitionSpec(),
    )
    grads = jax.jit(run)(jnp.float16(1), jnp.full((8,), 32768, jnp.float16))
    assert grads == 32768 + 32
    assert grads.dtype == jnp.float16
