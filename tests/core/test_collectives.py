"""What devices do together in one step, counted in the compiled program, and that it is right.

A step of MASAM has two means over devices: of the clean pass, losses and gradients in one, and of
the perturbed gradient. γ compares the means of two gradients, so the first is of two, and with M
encoders of equal size the step sends ``2 + 1/M`` of what late fusion does. Under ``pmap`` and
``shard_map`` devices agree on the dominant modality as well, in four bytes.
"""

from __future__ import annotations

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from experiments.hlo_collectives import Collectives, collectives_of
from experiments.tpu_topologies import compile_only, devices_of, has_compiler
from masam_jax import LateFusion, masam, multimodal_value_and_grad

NAMES = ("a", "b", "c")
WIDTH = 32
DEVICES = 8
WHOLE, SHARDS = PartitionSpec(), PartitionSpec("devices")
ENCODERS = len(NAMES) * 2 * WIDTH * WIDTH * 4
HEADS = (1 + len(NAMES)) * WIDTH * 4
# Losses, flags and the dominant modality's index.
SCALARS = 64


def parameters() -> Any:
    generator = np.random.default_rng(0)

    def normal(*shape: int) -> jax.Array:
        return jnp.asarray(0.2 * generator.standard_normal(shape), jnp.float32)

    return {
        "encoders": {m: [normal(WIDTH, WIDTH), normal(WIDTH, WIDTH)] for m in NAMES},
        "fusion": normal(WIDTH),
        "heads": {m: normal(WIDTH) for m in NAMES},
    }


LABELS = {"encoders": {m: m for m in NAMES}, "fusion": "other", "heads": "other"}


def encode(params: Any, x: jax.Array, modality: str) -> jax.Array:
    for weights in params["encoders"][modality]:
        x = jnp.tanh(x @ weights)
    return x


def objective(params: Any, features: Any, x: jax.Array) -> Any:
    def error(logits: jax.Array) -> jax.Array:
        return jnp.mean((logits - jnp.sum(x, axis=1)) ** 2)

    fused = sum(features.values()) @ params["fusion"]
    return error(fused), {m: error(z @ params["heads"][m]) for m, z in features.items()}


LOSS = LateFusion(
    {m: lambda params, x, m=m: encode(params, x, m) for m in NAMES},
    objective,
)


LATE = optax.with_extra_args_support(optax.identity())


def step_of(way: str, tx: Any, devices: Any, unimodal_gradients: Any = "auto") -> Any:
    axis = None if way == "jit" else "devices"
    value_and_grad = multimodal_value_and_grad(
        LOSS, axis_name=axis, unimodal_gradients=unimodal_gradients
    )

    def step(params: Any, x: jax.Array) -> Any:
        losses, grads, signals = value_and_grad(params, x)
        updates, _ = tx.update(grads, tx.init(params), params, **signals)
        return losses.total, updates

    if way == "pmap":
        return jax.pmap(step, axis_name="devices", in_axes=(None, 0), devices=devices)
    if way == "shard_map":
        step = jax.shard_map(step, mesh=mesh_of(devices), in_specs=(WHOLE, SHARDS), out_specs=WHOLE)
    return jax.jit(step)


def mesh_of(devices: Any) -> Mesh:
    return Mesh(np.asarray(devices), ("devices",), axis_types=(AxisType.Auto,))


def batch() -> jax.Array:
    x = np.random.default_rng(1).standard_normal((2 * DEVICES, WIDTH))
    return jnp.asarray(x, jnp.float32)


def abstract(tree: Any, devices: Any, spec: PartitionSpec) -> Any:
    sharding = NamedSharding(mesh_of(devices), spec)
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), tree)


def compiled(way: str, tx: Any, devices: Any, **options: Any) -> Collectives:
    step = step_of(way, tx, devices, **options)
    if way == "pmap":
        lowered = step.lower(parameters(), batch().reshape(DEVICES, -1, WIDTH))
    else:
        operands = abstract(parameters(), devices, WHOLE), abstract(batch(), devices, SHARDS)
        lowered = step.lower(*operands)
    on_tpu = devices[0].platform == "tpu"
    return collectives_of((compile_only(lowered) if on_tpu else lowered.compile()).as_text())


def masam_by(dispatch: Any) -> Any:
    return masam(LABELS, rho=0.5, dispatch=dispatch)


@pytest.mark.parametrize("way", ["jit", "shard_map", "pmap"])
def test_late_fusion_has_one_mean_and_masam_two(way: str) -> None:
    devices = jax.devices()[:DEVICES]
    late = compiled(way, LATE, devices)
    assert late.number == {"all-reduce": 1}
    assert ENCODERS + HEADS <= late.total_bytes <= ENCODERS + HEADS + SCALARS
    dense = compiled(way, masam_by("dense"), devices)
    assert dense.number == {"all-reduce": 2}
    assert dense.total_bytes <= 3 * ENCODERS + HEADS + SCALARS


@pytest.mark.parametrize("unimodal_gradients", ["difference", "direct"])
def test_two_gradients_of_the_clean_pass_are_averaged(unimodal_gradients: str) -> None:
    devices = jax.devices()[:DEVICES]
    options = {"unimodal_gradients": unimodal_gradients}
    found = compiled("shard_map", masam_by("dense"), devices, **options)
    assert found.total_bytes <= 3 * ENCODERS + HEADS + SCALARS


def test_branches_hold_no_collective_of_ours_on_the_cpu() -> None:
    """Devices of a CPU that reach different collectives could wait for ever."""
    step = step_of("shard_map", masam_by("switch"), jax.devices()[:DEVICES])
    text = step.lower(parameters(), batch()).compile().as_text()
    assert "conditional(" in text
    branches = [part for part in text.split("\n\n") if "region" in part.split("{")[0]]
    assert len(branches) >= len(NAMES)
    assert not any(" all-reduce(" in branch for branch in branches)


@pytest.mark.skipif(not has_compiler(), reason="libtpu is not installed: pip install '.[tpu]'")
@pytest.mark.parametrize("way", ["jit", "shard_map"])
def test_the_tpu_compiler_sends_one_perturbed_encoder(way: str) -> None:
    devices = devices_of("v5e:2x4")
    late = compiled(way, LATE, devices)
    assert late.number == {"all-reduce": 1}
    switch = compiled(way, masam_by("switch"), devices)
    # The third is the index that devices agree on, of four bytes.
    assert switch.number == {"all-reduce": 2 if way == "jit" else 3}
    most = (2 + 1 / len(NAMES)) * ENCODERS + HEADS
    assert most - 4 * WIDTH <= switch.total_bytes <= most + SCALARS


@pytest.mark.parametrize(
    ("way", "dispatch", "unimodal_gradients"),
    [
        ("jit", "dense", "direct"),
        ("shard_map", "switch", "direct"),
        ("pmap", "switch", "difference"),
    ],
)
def test_eight_devices_equal_one(way: str, dispatch: str, unimodal_gradients: str) -> None:
    devices, x = jax.devices()[:DEVICES], batch()
    want = step_of("jit", masam_by("dense"), devices[:1])(parameters(), x)
    step = step_of(way, masam_by(dispatch), devices, unimodal_gradients)
    if way == "pmap":
        got = jax.tree.map(lambda leaf: leaf[0], step(parameters(), x.reshape(DEVICES, -1, WIDTH)))
    else:
        sharding = NamedSharding(mesh_of(devices), SHARDS)
        got = step(parameters(), jax.device_put(x, sharding))
    chex.assert_trees_all_close(got, want, rtol=1e-4, atol=1e-6)


def test_devices_that_disagree_take_one_branch() -> None:
    """Whether a modality is present is the caller's to reduce; forgotten, it must not hang."""
    tx = masam_by("switch")
    value_and_grad = multimodal_value_and_grad(LOSS, axis_name="devices")

    def step(params: Any, x: jax.Array) -> Any:
        _, grads, signals = value_and_grad(params, x)
        here = jax.lax.axis_index("devices") % 2 == 0
        present = {m: here if m == "c" else ~here for m in NAMES}
        updates, _ = tx.update(grads, tx.init(params), params, present=present, **signals)
        return updates, grads

    run = jax.pmap(step, axis_name="devices", in_axes=(None, 0))
    updates, grads = run(parameters(), batch().reshape(DEVICES, -1, WIDTH))
    moved = {
        m: np.any(np.asarray(updates["encoders"][m][0] != grads["encoders"][m][0])) for m in NAMES
    }
    assert not moved["a"]
    assert not moved["b"]
