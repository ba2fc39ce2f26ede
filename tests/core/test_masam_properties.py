"""Properties of the rule that hold for any gradients and losses."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import chex
import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from masam_jax import masam, masam_metrics, multimodal_value_and_grad, sam
from tests.contract import contract
from tests.core.made_up_signals import (
    NAMES,
    SEEDS,
    SELECTIONS,
    World,
    assert_close,
    few,
    quadratic_gradient,
    vector,
)

SCALES = st.floats(-6.0, 6.0).map(lambda exponent: 10.0**exponent)
RADII = st.sampled_from([0.05, 12.0])


@pytest.fixture(autouse=True, scope="module")
def _64_bits() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def _perturbed(selection: str, metrics: dict[str, Any]) -> list[str]:
    if selection == "all":
        return list(NAMES)
    return [] if metrics["dominant"] is None else [metrics["dominant"]]


# --- alignment and score ---


@few
@hypothesis.given(SEEDS, SCALES, SCALES, st.sampled_from(["partition", "per_tensor"]))
def test_alignment_does_not_depend_on_scale(
    seed: int, fusion_scale: float, unimodal_scale: float, alignment: str
) -> None:
    world = World(seed)
    before = masam_metrics(world.step(alignment=alignment)[1])
    world.fusion = jax.tree.map(lambda x: fusion_scale * x, world.fusion)
    world.unimodal = jax.tree.map(lambda x: unimodal_scale * x, world.unimodal)
    after = masam_metrics(world.step(alignment=alignment)[1])
    for m in NAMES:
        assert_close(after[f"alignment/{m}"], before[f"alignment/{m}"])
        assert abs(after[f"alignment/{m}"]) <= 1
        if alignment == "partition":
            assert_close(after[f"alignment/{m}"], world.cosine(m))


@few
@hypothesis.given(SEEDS, SELECTIONS)
def test_score_weighs_learning_speed_and_alignment(seed: int, selection: str) -> None:
    world, later = World(seed), World(seed + 1)
    _, state = world.step(alpha=0.3, beta=0.6, select=selection)
    metrics = masam_metrics(later.step(state, alpha=0.3, beta=0.6, select=selection)[1])
    for m in NAMES:
        average = 0.6 * world.losses[m] + 0.4 * later.losses[m]
        decay = max(0.0, float(world.losses[m] - average))
        assert_close(metrics[f"ma_loss/{m}"], average)
        assert_close(metrics[f"decay/{m}"], decay)
        assert_close(metrics[f"score/{m}"], 0.3 * decay + 0.7 * later.cosine(m))


@few
@hypothesis.given(SEEDS, st.integers(2, 5))
def test_constant_losses_leave_the_alignment_to_decide(seed: int, steps: int) -> None:
    world, state = World(seed), None
    for _ in range(steps):
        _, state = world.step(state)
    metrics = masam_metrics(state)
    for m in NAMES:
        assert_close(metrics[f"decay/{m}"], 0.0)
        assert_close(metrics[f"ma_loss/{m}"], world.losses[m])
    assert metrics["dominant"] == max(NAMES, key=world.cosine)


@pytest.mark.parametrize("dispatch", ["dense", "switch"])
@hypothesis.settings(max_examples=10)
@hypothesis.given(SEEDS, st.sets(st.sampled_from(NAMES), min_size=1))
def test_ties_go_to_the_first_in_sorted_order(dispatch: str, seed: int, best: set[str]) -> None:
    world = World(seed)
    for m in NAMES:
        world.losses[m], world.fusion[m] = world.losses["text"], world.fusion["text"]
        sign = 1.0 if m in best else -1.0
        world.unimodal[m] = jax.tree.map(lambda x, s=sign: s * x, world.fusion["text"])
    updates, state = world.step(dispatch=dispatch)
    first = min(best)
    assert masam_metrics(state)["dominant"] == first
    for m in set(NAMES) - {first}:
        assert not world.perturbation(updates, m).any()


@few
@hypothesis.given(SEEDS, st.permutations(NAMES), st.sampled_from(["dominant", "all"]))
def test_names_do_not_matter(seed: int, renamed: list[str], selection: str) -> None:
    world, other = World(seed), World(seed)
    new_name = dict(zip(NAMES, renamed, strict=True))
    for field in ("params", "grads", "fusion", "unimodal", "losses"):
        tree = getattr(world, field)
        setattr(other, field, {new_name.get(group, group): x for group, x in tree.items()})
    updates, state = world.step(select=selection)
    other_updates, other_state = other.step(select=selection)
    if selection == "dominant":
        dominant = masam_metrics(state)["dominant"]
        assert masam_metrics(other_state)["dominant"] == new_name[dominant]
    for group in (*NAMES, "other"):
        assert_close(vector(other_updates[new_name.get(group, group)]), vector(updates[group]))


# --- perturbation ---


@few
@hypothesis.given(SEEDS, RADII, SELECTIONS, st.booleans())
def test_the_radius_is_rho_times_alignment(
    seed: int, rho: float, selection: str, scaled: bool
) -> None:
    world = World(seed)
    updates, state = world.step(rho=rho, select=selection, scale_by_alignment=scaled)
    perturbed = _perturbed(selection, masam_metrics(state))
    for m in perturbed:
        epsilon, gradient = world.perturbation(updates, m), vector(world.fusion[m])
        gamma = world.cosine(m) if scaled else 1.0
        assert_close(np.linalg.norm(epsilon), rho * abs(gamma))
        assert_close(epsilon, rho * gamma * gradient / np.linalg.norm(gradient))
    for group in {*NAMES, "other"} - set(perturbed):
        np.testing.assert_array_equal(vector(updates[group]), vector(world.grads[group]))


@few
@hypothesis.given(SEEDS, RADII)
def test_clipping_spares_conflicting_modalities(seed: int, rho: float) -> None:
    world = World(seed)
    updates, state = world.step(rho=rho, select="all", clip_negative=True)
    for m in NAMES:
        gamma = max(0.0, world.cosine(m))
        assert_close(masam_metrics(state)[f"alignment/{m}"], gamma)
        assert_close(np.linalg.norm(world.perturbation(updates, m)), rho * gamma)


@hypothesis.settings(max_examples=10)
@hypothesis.given(SEEDS, st.sampled_from(["host", "dense", "switch"]))
def test_the_gradient_is_asked_for_at_the_perturbed_point(seed: int, dispatch: Any) -> None:
    """A recording gradient function sees θ + ε on the dominant partition, θ elsewhere."""
    world, calls = World(seed), []
    params, grads, signals = jax.tree.map(jnp.asarray, (world.params, world.grads, world.signals))
    gradient = quadratic_gradient(signals["fusion_grads"], params)

    def record(moved: Any, modality: str | None = None) -> Any:
        jax.debug.callback(lambda *args: calls.append(args), moved, ordered=False)
        return gradient(moved, modality)

    tx = masam({group: group for group in params}, rho=2.0, dispatch=dispatch)
    _, state = tx.update(grads, tx.init(params), params, fusion_grad_fn=record, **signals)
    jax.effects_barrier()
    ((moved,),) = calls
    m = masam_metrics(state)["dominant"]
    for group in (*NAMES, "other"):
        epsilon = vector(moved[group]) - vector(world.params[group])
        fusion = vector(world.fusion[group])
        wanted = 2.0 * world.cosine(m) * fusion / np.linalg.norm(fusion) if group == m else 0.0
        assert_close(epsilon, wanted)


@few
@hypothesis.given(SEEDS, SELECTIONS, st.booleans())
def test_radius_zero_is_the_base_optimizer(seed: int, selection: str, scaled: bool) -> None:
    world = World(seed)
    updates, _ = world.step(rho=0.0, select=selection, scale_by_alignment=scaled)
    chex.assert_trees_all_equal(updates, world.grads)


@few
@hypothesis.given(SEEDS, RADII, st.sampled_from([0.0, 1.0]))
def test_one_modality_unscaled_is_sam_on_its_partition(seed: int, rho: float, alpha: float) -> None:
    """SAM of the fusion loss: its gradient at θ + ρ g / ‖g‖ in place of g."""
    world = World(seed, ("audio",))
    world.grads = world.fusion
    options = {"alpha": alpha, "scale_by_alignment": False}
    updates, state = world.step(rho=rho, **options)
    assert masam_metrics(state)["dominant"] == "audio"
    params = {"audio": jax.tree.map(jnp.asarray, world.params["audio"])}
    fusion = {"audio": jax.tree.map(jnp.asarray, world.fusion["audio"])}
    tx = sam(rho=rho)
    want, _ = tx.update(
        fusion,
        tx.init(params),
        params,
        total_grads=fusion,
        total_grad_fn=quadratic_gradient(fusion, params),
    )
    assert_close(vector(updates["audio"]), vector(want["audio"]))
    np.testing.assert_array_equal(vector(updates["other"]), vector(world.grads["other"]))


# --- on a network ---


def _parameters() -> Any:
    return jax.tree.map(lambda x: x.astype(jnp.float64), contract.parameters())


def _batches() -> Any:
    return jax.tree.map(lambda x: x.astype(jnp.float64), contract.batches())


def _train(tx: Any, loss: Any = contract.loss_fn) -> contract.Run:
    step = jax.jit(contract.make_step(tx, loss=loss))
    return contract.train(tx, _parameters(), step=step, data=_batches())


@pytest.mark.parametrize("dispatch", ["dense", "switch"])
def test_radius_zero_trains_as_the_base_optimizer(dispatch: Any) -> None:
    base = optax.sgd(0.1, momentum=0.9)
    got = _train(optax.chain(masam(contract.labels_of, rho=0.0, dispatch=dispatch), base)).params
    # Two programs, whose sums a compiler may fuse in two ways.
    contract.assert_same(got, _train(base).params, tolerance=1e-12)


def test_all_dispatches_give_the_same_numbers() -> None:
    runs = []
    dispatch: Any
    for dispatch in ("dense", "switch", "host"):
        tx = optax.chain(
            masam(contract.labels_of, rho=0.5, dispatch=dispatch), optax.sgd(0.1, momentum=0.9)
        )
        if dispatch != "host":
            runs.append(_train(tx))
            continue
        value_and_grad = jax.jit(multimodal_value_and_grad(contract.loss_fn))
        params = _parameters()
        state = tx.init(params)
        for batch in _batches():
            _, grads, signals = value_and_grad(params, *batch)
            updates, state = tx.update(grads, state, params, **signals)
            params = optax.apply_updates(params, updates)
        runs.append(contract.Run(params, state))
    for left, right in itertools.pairwise(runs):
        contract.assert_same(left, right, tolerance=1e-12)
