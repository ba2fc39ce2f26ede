"""AUG against a NumPy reference; who grows, and when."""

from __future__ import annotations

import dataclasses
from typing import Any

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from masam_jax.methods import Context, parse_method
from masam_jax.methods.aug import AugObjective, AugOptions, AugState
from tests.core.reference_network import Parameters, draw_batches, nested
from tests.methods.aug_reference import Reference
from tests.methods.phased_training import (
    LinearNetwork,
    assert_close,
    in_phases,
    make_step,
    start,
)

STEPS, HIDDEN = 14, 5
_KEY = jax.random.key(0)
OBJECTIVE = AugObjective(hidden=HIDDEN, period=2, max_layers=3, steps_per_epoch=2, steps=STEPS)


def make_network(count: int) -> LinearNetwork:
    names = ("text", "audio", "video")[:count]
    return LinearNetwork(
        {m: 3 + i for i, m in enumerate(names)}, {m: 4 + i for i, m in enumerate(names)}
    )


def initialise(network: LinearNetwork, objective: AugObjective) -> dict[str, Any]:
    """Parameters of the objective's shapes, but with biases that are not zero."""
    generator = np.random.default_rng(3)
    shapes = jax.eval_shape(lambda key: objective.init_params(network, key), _KEY)
    method = jax.tree.map(lambda x: 0.5 * generator.standard_normal(x.shape), shapes)
    return {"encoders": network.init(1), "method": method}


def flat(tree: Any) -> Parameters:
    leaves = jax.tree.flatten_with_path(tree)[0]
    return {tuple(key.key for key in path): np.array(leaf) for path, leaf in leaves}


# --- the paper's rule in NumPy ---


@pytest.mark.parametrize("count, residual", [(1, 0.5), (2, 0.5), (2, 0.9), (3, 0.5)])
def test_trajectory_of_the_reference(x64: None, count: int, residual: float) -> None:
    network = make_network(count)
    objective = dataclasses.replace(OBJECTIVE, residual=residual)
    params = initialise(network, objective)
    batches = draw_batches(3, network.dimensions, steps=STEPS)
    tx = in_phases(optax.identity(), optax.sgd(0.05, momentum=0.9), network)
    step = make_step(network, objective, tx)
    training = start(network, objective, params, tx)
    reference = Reference(
        flat(params),
        list(network.modalities),
        residual,
        period=2,
        band=0.01,
        max_layers=3,
        steps_per_epoch=2,
        steps=STEPS,
    )
    for batch in batches:
        training = step(training, jax.tree.map(jnp.asarray, batch))
        reference.step(batch)
        assert_close(training.params, nested(reference.parameters))
        assert jax.device_get(training.method_state.layers) == reference.layers
        assert_close(training.method_state.confidence, reference.confidence)
    # After epoch 1 and every second one, but not after the last step.
    times = [t for t, _ in reference.grown]
    assert times == ([] if count == 1 else [2, 4, 8, 12][: len(times)])
    if count > 1:
        assert max(reference.layers.values()) > 1, "no layer was added to an added layer"
    inputs = batches[0].inputs
    features = {m: inputs[m] @ training.params["encoders"][m]["kernel"] for m in inputs}
    logits, unimodal = objective.predict(network, training.params, features, training.method_state)
    want = {m: sum(reference.logits(m, inputs[m])) for m in network.modalities}
    assert_close(unimodal, want)
    weights = {1: [1.0], 2: [0.4, 0.6], 3: [1 / 3] * 3}[count]
    assert_close(logits, sum(w * want[m] for w, m in zip(weights, sorted(want), strict=True)))


def test_the_first_in_order_has_the_weight_merge() -> None:
    network = make_network(2)
    params = jax.tree.map(jnp.float32, initialise(network, OBJECTIVE))
    features = {m: jnp.ones((2, size)) for m, size in network.feature_sizes.items()}
    state = OBJECTIVE.init_state(network, params)
    for order, weights in {
        None: {"audio": 0.7, "text": 0.3},
        "audio+text": {"audio": 0.7, "text": 0.3},
        "text+audio": {"audio": 0.3, "text": 0.7},
    }.items():
        objective = dataclasses.replace(OBJECTIVE, merge=0.7, order=order)
        logits, alone = objective.predict(network, params, features, state)
        want = sum(w * np.asarray(alone[m], np.float64) for m, w in weights.items())
        np.testing.assert_allclose(logits, want, rtol=1e-5)


def test_the_ratio_is_of_the_earlier_to_the_later_in_order() -> None:
    """b / a = 1.0101 leaves the band of 0.01, a / b = 0.99 does not; layers go by names."""
    scores, none = [1.0, 1.01005], _state("ab", [0, 0])
    assert _layers_after(AugObjective(order="a+b"), none, scores) == [0, 0]
    assert _layers_after(AugObjective(order="b+a"), none, scores) == [1, 0]
    assert _layers_after(AugObjective(order="b+a"), _state("ab", [0, 2]), [2.0, 1.0]) == [0, 3]


@pytest.mark.parametrize("order", ["audio", "audio+audio", "audio+smell", "audio,text", "a+b+c"])
def test_an_order_of_other_modalities_is_refused(order: str) -> None:
    network = make_network(2)
    with pytest.raises(ValueError, match=r"each of the modalities once.*: audio[+]text, or"):
        AugObjective(order=order).init_params(network, _KEY)


# --- who grows, and when ---


def _state(names: str, layers: list[int], step: int = 0) -> AugState:
    return AugState(
        jnp.int32(step),
        {m: jnp.float32(0) for m in names},
        {m: jnp.int32(n) for m, n in zip(names, layers, strict=True)},
    )


_advance = jax.jit(lambda objective, *rest: objective.advance(*rest), static_argnums=0)


def _layers_after(objective: AugObjective, state: AugState, scores: list[float]) -> list[int]:
    observed = {m: jnp.float32(s) for m, s in zip(sorted(state.layers), scores, strict=True)}
    after = _advance(objective, state, observed)
    return [int(after.layers[m]) for m in sorted(after.layers)]


@hypothesis.given(
    st.integers(1, 4).flatmap(
        lambda count: st.tuples(
            st.lists(st.floats(0, 64, width=32), min_size=count, max_size=count),
            st.lists(st.integers(0, 3), min_size=count, max_size=count),
        )
    ),
    st.sampled_from([0.0, 0.01, 0.5]),
)
def test_only_the_weakest_grows_and_never_beyond_the_most(
    drawn: tuple[list[float], list[int]], band: float
) -> None:
    scores, layers = drawn
    objective = AugObjective(period=1, band=band, max_layers=3)
    got = _layers_after(objective, _state("abcd"[: len(scores)], layers), scores)
    grown = [i for i, (new, old) in enumerate(zip(got, layers, strict=True)) if new != old]
    if not grown:
        return
    (weakest,) = grown
    assert got[weakest] == layers[weakest] + 1 <= 3
    assert scores[weakest] == min(scores) < max(scores)


@pytest.mark.parametrize(
    "scores, grows",
    [
        ([1.02, 1.0], [0, 1]),
        ([0.98, 1.0], [1, 0]),
        ([1.005, 1.0], [0, 0]),
        ([0.995, 1.0], [0, 0]),
        # The ratio of the first to the second: 0.9901 is within the band, 1.0101 outside.
        ([1.0, 1.01005], [0, 0]),
        ([1.0101, 1.0], [0, 1]),
        ([0.0, 0.0], [0, 0]),
        ([0.5, 0.0], [0, 1]),
        ([0.0, 0.5], [1, 0]),
        ([float("nan"), 0.5], [0, 0]),
        ([2.0], [0]),
        ([2.0, 1.0, 3.0], [0, 1, 0]),
        ([1.0, 1.001, 1.002], [0, 0, 0]),
    ],
)
def test_the_band(scores: list[float], grows: list[int]) -> None:
    state = _state("abc"[: len(scores)], [0] * len(scores))
    assert _layers_after(AugObjective(), state, scores) == grows


def test_times_of_growth() -> None:
    objective = AugObjective(period=3, steps_per_epoch=4, steps=36, max_layers=5)
    state, observed = _state("ab", [0, 0]), {"a": jnp.float32(1), "b": jnp.float32(2)}
    times = []
    for _ in range(36):
        before, state = state, _advance(objective, state, observed)
        if state.layers["a"] != before.layers["a"]:
            times.append(int(state.step))
        # Sums are of the present epoch alone.
        assert float(state.confidence["b"]) == 2 * (int(state.step) % 4)
    assert times == [4, 12, 24]
    assert state.layers["b"] == 0


@pytest.mark.parametrize("step, grows", [(2, [1, 0]), (3, [0, 0]), (5, [0, 0])])
def test_nothing_grows_within_an_epoch_or_at_the_last_step(step: int, grows: list[int]) -> None:
    objective = AugObjective(period=1, steps_per_epoch=3, steps=6)
    assert _layers_after(objective, _state("ab", [0, 0], step), [1.0, 2.0]) == grows


@pytest.mark.parametrize(
    "period, steps_per_epoch, steps, most, capacity",
    [
        (3, 4, 36, 9, 3),  # after epochs 1, 3, 6; not 9, which the last step ends
        (3, 4, 37, 9, 4),
        (3, 4, 37, 2, 2),
        (1, 4, 17, 9, 4),
        (20, 10, 2000, 10, 10),
        (20, 10, 10, 10, 1),
        (20, 10, 5, 10, 1),
        (20, 10, None, 7, 7),
    ],
)
def test_only_layers_that_training_can_give_exist(
    period: int, steps_per_epoch: int, steps: int | None, most: int, capacity: int
) -> None:
    objective = AugObjective(
        hidden=2, period=period, steps_per_epoch=steps_per_epoch, steps=steps, max_layers=most
    )
    assert objective.capacity == capacity
    shapes = jax.eval_shape(lambda key: objective.init_params(make_network(2), key), _KEY)
    assert shapes["modalities"]["text"]["added"]["kernel"].shape == (capacity, 4, 2)
    assert shapes["modalities"]["audio"]["added"]["bias"].shape == (capacity, 2)


@pytest.mark.parametrize("given", [0, 1, 3])
def test_layers_not_given_have_no_part(given: int) -> None:
    """Neither in the loss nor in its gradient; nor have the other modalities' layers."""
    network = make_network(2)
    params = jax.tree.map(jnp.float32, initialise(network, OBJECTIVE))
    state = OBJECTIVE.init_state(network, params)
    state = state._replace(layers=state.layers | {"text": jnp.int32(given)})
    features = {"text": jax.random.normal(_KEY, (6, network.feature_sizes["text"]))}
    labels = jnp.arange(6, dtype=jnp.int32) % 3
    gradient = jax.jit(
        jax.grad(lambda p: OBJECTIVE.losses(network, p, features, labels, state).fusion)
    )(params)["method"]["modalities"]
    used = np.any(gradient["text"]["added"]["kernel"], axis=(1, 2))
    assert used.tolist() == [k < given for k in range(OBJECTIVE.capacity)]
    assert np.any(gradient["text"]["layer"]["kernel"])
    assert not any(np.any(g) for g in jax.tree.leaves(gradient["audio"]))


def test_initial_kernels_are_glorot_normal() -> None:
    params = AugObjective(hidden=200).init_params(make_network(2), _KEY)
    for layer, fans in (
        (params["head"], 200 + 3),
        (params["modalities"]["text"]["layer"], 4 + 200),
        (params["modalities"]["audio"]["added"], 5 + 200),
    ):
        np.testing.assert_allclose(jnp.std(layer["kernel"]), (2 / fans) ** 0.5, rtol=0.1)
        assert not layer["bias"].any()


def test_one_modality_at_a_time() -> None:
    network = make_network(2)
    features = {m: jnp.ones((2, 4)) for m in network.modalities}
    with pytest.raises(ValueError, match=r"one modality at a time.*\['audio', 'text'\]"):
        OBJECTIVE.losses(network, {}, features, jnp.zeros(2, jnp.int32), ())


# --- options ---


@pytest.mark.parametrize(
    "options, message",
    [
        ({"hidden": 0}, "hidden=0"),
        ({"residual": 1.5}, "residual=1.5"),
        ({"merge": -0.1}, "merge=-0.1"),
        ({"period": 0}, "period=0"),
        ({"band": float("inf")}, "band=inf"),
        ({"max_layers": 0}, "max_layers=0"),
    ],
)
def test_mistakes_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"{message} is out of range: expected"):
        AugOptions(**options)


def test_registration() -> None:
    method = parse_method("aug:hidden=32,band=0.1")
    assert method.title == "AUG hidden=32, band=0.1"
    assert parse_method("aug").title == "AUG"
    assert parse_method("aug:order=text+audio").title == "AUG order=text+audio"
    assert parse_method("aug:order=none").options == AugOptions()
    assert method.schedule.by_modality
    objective = method.objective(Context(steps_per_epoch=7, steps=30))
    assert objective == AugObjective(hidden=32, band=0.1, steps_per_epoch=7, steps=30)
    assert hash(objective) == hash(dataclasses.replace(objective))
    assert objective.predictor == objective
