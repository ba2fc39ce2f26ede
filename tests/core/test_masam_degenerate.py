"""Modalities that are missing, frozen or empty, and signals that are zero or not finite."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import chex
import hypothesis
import hypothesis.strategies as st
import jax
import numpy as np
import optax
import pytest

from masam_jax import masam, masam_metrics
from tests.contract import contract
from tests.core.made_up_signals import NAMES, SEEDS, SELECTIONS, World, assert_close, few, vector


@pytest.fixture(autouse=True, scope="module")
def _64_bits() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


MASKS = st.lists(st.tuples(*[st.booleans()] * len(NAMES)), min_size=1, max_size=5)


@few
@hypothesis.given(SEEDS, MASKS, SELECTIONS, st.sampled_from(["signal", "zero loss", "nan"]))
def test_absent_modalities_rest(
    seed: int, masks: list[tuple[bool, ...]], selection: str, how: str
) -> None:
    """However a modality is absent, it is not chosen, not moved, not perturbed."""
    state = None
    losses: dict[str, list[float]] = {m: [] for m in NAMES}
    for index, mask in enumerate(masks):
        world = World(seed + index)
        present = dict(zip(NAMES, mask, strict=True))
        for m in NAMES:
            if present[m]:
                losses[m].append(float(world.losses[m]))
            elif how == "zero loss":
                world.losses[m] = np.asarray(0.0)
                world.unimodal[m] = jax.tree.map(np.zeros_like, world.unimodal[m])
            elif how == "nan":
                world.losses[m] = np.asarray(np.nan)
                for tree in (world.fusion, world.unimodal):
                    tree[m] = jax.tree.map(lambda x: np.full_like(x, np.nan), tree[m])
        if how == "signal":
            world.present = {m: np.asarray(there) for m, there in present.items()}
        updates, state = world.step(state, select=selection, beta=0.7)
        dominant = masam_metrics(state)["dominant"]
        assert dominant is None or present[dominant]
        for group in (*NAMES, "other"):
            moved = selection == "all" and present.get(group, False)
            if not moved and group != dominant:
                np.testing.assert_array_equal(vector(updates[group]), vector(world.grads[group]))
    for m, values in losses.items():
        if values:
            average = values[0]
            for value in values[1:]:
                average = 0.7 * average + 0.3 * value
            assert_close(masam_metrics(state)[f"ma_loss/{m}"], average)


DAMAGES = st.sampled_from([0.0, np.nan, np.inf, -np.inf, 1e200, -1e200, 1e-200])


@hypothesis.settings(max_examples=60)
@hypothesis.given(
    SEEDS,
    st.lists(
        st.tuples(
            st.sampled_from(NAMES), st.sampled_from(["fusion", "unimodal", "losses"]), DAMAGES
        ),
        min_size=1,
        max_size=4,
    ),
    st.booleans(),
    st.sampled_from(["dominant", "all"]),
    st.sampled_from(["dense", "switch"]),
    st.booleans(),
)
def test_nothing_finite_becomes_nan(
    seed: int,
    damages: list[tuple[str, str, float]],
    everywhere: bool,
    selection: str,
    dispatch: str,
    scaled: bool,
) -> None:
    """Zero, huge and non-finite signals give γ = 0 and ε = 0 where they are, numbers everywhere."""
    options = {"select": selection, "dispatch": dispatch, "scale_by_alignment": scaled}
    _, state = World(seed + 1).step(**options)
    world = World(seed)
    for m, field, value in damages:
        tree = getattr(world, field)
        if field == "losses":
            tree[m] = np.asarray(value)
        elif everywhere:
            tree[m] = jax.tree.map(lambda x, v=value: np.full_like(x, v), tree[m])
        else:
            tree[m]["b"] = np.asarray([value, 0.3])
    updates, state = world.step(state, **options)
    for leaf in jax.tree.leaves((updates, state)):
        assert np.isfinite(leaf).all()
    for m in NAMES:
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            norms = [np.linalg.norm(vector(tree[m])) for tree in (world.fusion, world.unimodal)]
        usable = [bool(np.isfinite(norm) and norm > 0) for norm in norms]
        is_observed = np.isfinite(world.losses[m]) and world.losses[m] != 0
        if not all(usable) and is_observed:
            assert masam_metrics(state)[f"alignment/{m}"] == 0
        if not usable[0] or (scaled and not usable[1]) or not np.isfinite(world.losses[m]):
            assert not world.perturbation(updates, m).any()


@few
@hypothesis.given(
    SEEDS, st.lists(st.sampled_from([0.5, 1.5, 2.5, np.nan, np.inf, -np.inf]), max_size=6)
)
def test_losses_that_are_not_finite_never_enter_the_average(seed: int, values: list[float]) -> None:
    world, state, average = World(seed), None, None
    for value in [*values, 1.0]:
        world.losses["text"] = np.asarray(value)
        _, state = world.step(state, beta=0.5)
        if np.isfinite(value):
            average = value if average is None else 0.5 * average + 0.5 * value
        if average is not None:
            assert_close(masam_metrics(state)["ma_loss/text"], average)


@pytest.mark.parametrize("selection", ["dominant", "all"])
@pytest.mark.parametrize("dispatch", ["dense", "switch"])
@pytest.mark.parametrize("empty", [{}, {"w": np.zeros((0, 3))}], ids=["no leaf", "no element"])
def test_a_modality_without_parameters(empty: Any, dispatch: str, selection: str) -> None:
    """It may be dominant, for its loss falls fastest, and then nothing is perturbed."""
    world, state = World(0), None
    for tree in (world.params, world.grads, world.fusion, world.unimodal):
        tree["text"] = empty
    for loss in (9.0, 1.0):
        world.losses["text"] = np.asarray(loss)
        updates, state = world.step(state, alpha=1.0, dispatch=dispatch, select=selection)
    metrics = masam_metrics(state)
    assert metrics["alignment/text"] == 0
    if selection == "dominant":
        assert metrics["dominant"] == "text"
        chex.assert_trees_all_equal(updates, world.grads)
    else:
        assert world.perturbation(updates, "audio").any()


@pytest.mark.parametrize("selection", ["dominant", "all", "audio"])
def test_an_encoder_frozen_by_the_optimizer_stays(selection: str) -> None:
    parts = {"audio": optax.set_to_zero(), "text": optax.sgd(0.1), "other": optax.sgd(0.1)}
    tx = optax.chain(
        masam(contract.labels_of, rho=0.5, select=selection),
        optax.multi_transform(parts, contract.labels_of),
    )
    run, start = contract.train(tx), contract.parameters()
    audio, text = (run.params["encoders"][m] for m in ("audio", "text"))
    chex.assert_trees_all_equal(audio, start["encoders"]["audio"])
    assert all(
        (a != b).any()
        for a, b in zip(
            jax.tree.leaves(text), jax.tree.leaves(start["encoders"]["text"]), strict=True
        )
    )
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(run))


@pytest.mark.parametrize("dispatch", ["dense", "switch"])
def test_an_encoder_frozen_in_the_loss_is_never_perturbed(dispatch: Any) -> None:
    """Its gradients are exactly zero: γ = 0, ε = 0, and it stays."""

    def loss(params: Any, *batch: Any) -> Any:
        encoders = params["encoders"]
        frozen = {**encoders, "audio": jax.lax.stop_gradient(encoders["audio"])}
        return contract.loss_fn({**params, "encoders": frozen}, *batch)

    tx = optax.chain(masam(contract.labels_of, rho=0.5, dispatch=dispatch), optax.sgd(0.1))
    run, start = (
        contract.train(tx, step=jax.jit(contract.make_step(tx, loss=loss))),
        contract.parameters(),
    )
    assert masam_metrics(run.state)["alignment/audio"] == 0
    chex.assert_trees_all_equal(run.params["encoders"]["audio"], start["encoders"]["audio"])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(run))
