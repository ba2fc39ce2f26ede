"""InfoReg against a NumPy reference, its prime learning window, and whom it pulls."""

from __future__ import annotations

from typing import Any

import chex
import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from masam_jax.methods import Context, get_method, parse_method
from masam_jax.methods.head_parts import HeadPartsObjective
from masam_jax.methods.info_reg import InfoRegOptions, info_reg
from masam_jax.methods.objective import LATE_FUSION_OBJECTIVE
from tests.methods.info_reg_reference import InfoRegReference

NAMES = ("text", "audio", "video")
SHAPES = {"b": (3,), "w": (2, 3)}
EPOCH = 4


def draw(generator: np.random.Generator, names: tuple[str, ...], scale: Any = 1.0) -> Any:
    groups = (*names, "head")
    return {g: {k: scale * generator.standard_normal(s) for k, s in SHAPES.items()} for g in groups}


def labels_of(names: tuple[str, ...]) -> dict[str, str]:
    return {**{m: m for m in names}, "head": "other"}


@pytest.mark.parametrize(
    "count, history, threshold, missing",
    [(1, 10, 0.05, 0.0), (2, 10, 0.05, 0.0), (3, 3, 0.2, 0.0), (3, 3, 0.2, 0.4)],
)
def test_trajectory_of_the_reference(
    x64: None, count: int, history: int, threshold: float, missing: float
) -> None:
    """Fourteen epochs, whose gradients shrink and grow so that windows close and open again."""
    names = NAMES[:count]
    generator = np.random.default_rng(count)
    beta = {m: 0.3 + 0.4 * i for i, m in enumerate(names)}
    tx = info_reg(
        labels_of(names), steps_per_epoch=EPOCH, beta=beta, history=history, threshold=threshold
    )
    reference = InfoRegReference(EPOCH, beta, threshold, history)

    @jax.jit
    def step(params: Any, state: Any, grads: Any, *signals: Any) -> Any:
        named = dict(zip(("fusion_grads", "confidence", "present"), signals, strict=False))
        updates, state = tx.update(grads, state, params, **named)
        return jax.tree.map(lambda p, u: p - 0.1 * u, params, updates), state

    want = draw(generator, names)
    params = jax.tree.map(jnp.asarray, want)
    state, pulled, windows = tx.init(params), set(), set()
    for t in range(14 * EPOCH):
        grads = draw(generator, names)
        fusion = draw(generator, names, 0.7 ** (t // EPOCH) if t < 11 * EPOCH else 2.0)
        confidence = {m: np.asarray(generator.uniform(0, 2)) for m in names}
        present = {m: np.asarray(generator.uniform() >= missing) for m in names} if missing else {}
        expected = {m: reference.window(m) for m in names}
        added = reference.step(
            {m: list(want[m].values()) for m in names},
            {m: list(fusion[m].values()) for m in names},
            {m: float(p) for m, p in confidence.items() if present.get(m, True)},
        )
        pulled |= {m for m in names if any(x.any() for x in added[m])}
        windows |= set(expected.items())
        for m in names:
            assert bool(state.window[m]) == expected[m], f"{m} at step {t}"
            for x, (k, g) in zip(added[m], grads[m].items(), strict=True):
                want[m][k] = want[m][k] - 0.1 * (g + x)
        want["head"] = {k: want["head"][k] - 0.1 * g for k, g in grads["head"].items()}
        signals = (fusion, confidence, present) if missing else (fusion, confidence)
        params, state = step(params, state, *jax.tree.map(jnp.asarray, (grads, *signals)))
        chex.assert_trees_all_close(params, want, rtol=1e-10, atol=1e-10)
    assert (int(state.epoch), int(state.step)) == (14, 0)
    for m in names:
        np.testing.assert_allclose(state.traces[m], reference.traces[m][-history:], rtol=1e-10)
    assert windows == {(m, is_open) for m in names for is_open in (True, False)}
    assert pulled == (set(names) if count > 1 else set())


# --- one epoch and the next, by hand ---


class World:
    """Two or more encoders of one vector each, and a head; runs ``info_reg`` a step at a time."""

    def __init__(self, names: tuple[str, ...] = ("audio", "video"), **options: Any) -> None:
        self.names = names
        self.tx = info_reg(labels_of(names), **{"steps_per_epoch": EPOCH, "beta": 0.5, **options})
        self._update = jax.jit(self.tx.update)
        self.start()

    def start(self) -> None:
        """Goes back to before the first step."""
        self.params = {g: jnp.asarray([1.0, -2.0], jnp.float32) for g in (*self.names, "head")}
        self.state = self.tx.init(self.params)

    def step(self, *confidence: float, fusion: Any = 1.0, move: float = 0.25) -> dict[str, Any]:
        """What is added to a gradient of ones; then all parameters move by ``move``."""
        ones = jax.tree.map(jnp.ones_like, self.params)
        fusion_grads = {
            g: jnp.full(2, fusion[g] if isinstance(fusion, dict) else fusion, jnp.float32)
            for g in self.params
        }
        p = {m: jnp.float32(value) for m, value in zip(self.names, confidence, strict=True)}
        updates, self.state = self._update(
            ones, self.state, self.params, fusion_grads=fusion_grads, confidence=p
        )
        self.params = jax.tree.map(lambda x: x + jnp.float32(move), self.params)
        return jax.device_get(jax.tree.map(lambda u: u - 1, updates))


def assert_pulls(added: dict[str, Any], **want: float) -> None:
    for group, value in added.items():
        np.testing.assert_allclose(value, want.get(group, 0.0), rtol=1e-5, atol=1e-6)


def test_the_more_confident_encoder_is_pulled_to_the_start_of_the_epoch():
    world = World()
    assert_pulls(world.step(3.0, 1.0))
    assert_pulls(world.step(3.0, 1.0), audio=0.5 * np.exp(np.tanh(2.0)) * 0.25)
    assert_pulls(world.step(1.0, 1.5), video=0.5 * np.exp(np.tanh(0.5)) * 0.5)
    assert_pulls(world.step(3.0, 1.0), audio=0.5 * np.exp(np.tanh(2.0)) * 0.75)
    assert_pulls(world.step(3.0, 1.0))
    assert_pulls(world.step(3.0, 1.0), audio=0.5 * np.exp(np.tanh(2.0)) * 0.25)


def test_with_three_modalities_the_gap_is_to_the_mean_of_the_others():
    world = World(NAMES)
    world.step(1.0, 2.0, 0.0)
    assert_pulls(world.step(1.0, 2.0, 0.0), audio=0.5 * np.exp(np.tanh(1.5)) * 0.25)
    assert_pulls(world.step(2.0, 2.0, 0.0))


def test_beta_of_each_modality():
    world = World(beta={"audio": 0.95, "video": 0.1})
    world.step(1.0, 0.0)
    assert_pulls(world.step(1.0, 0.0), audio=0.95 * np.exp(np.tanh(1.0)) * 0.25)
    assert_pulls(world.step(0.0, 1.0), video=0.1 * np.exp(np.tanh(1.0)) * 0.5)


@pytest.mark.parametrize("history, epochs", [(10, 11), (3, 4), (1, 2)])
def test_a_constant_trace_closes_the_window_when_the_mean_is_full(
    history: int, epochs: int
) -> None:
    """``k = 1 / e`` for the first epochs, and then 0."""
    world = World(steps_per_epoch=2, history=history)
    for epoch in range(epochs + 2):
        world.step(1.0, 0.0)
        is_pulled = bool(world.step(1.0, 0.0)["audio"].any())
        assert is_pulled == (epoch < epochs), f"epoch {epoch}"


def test_the_window_follows_the_relative_change_of_the_mean():
    """Two epochs: k = (T2 - T0) / (T1 + T2) = 0.6; one: k = (T1 - T0) / T1 = 0.75, not above."""
    for last, is_open in [(2.0, True), (1.0, False), (0.5, False)]:
        world = World(steps_per_epoch=1, history=2, threshold=0.5)
        for fusion in (1.0, 1.0, last):
            world.step(1.0, 0.0, fusion=fusion)
        assert bool(world.state.window["audio"]) is is_open
    world = World(steps_per_epoch=1, history=1, threshold=0.75)
    for fusion, is_open in [(1.0, True), (2.0, False), (0.0, False)]:
        world.step(1.0, 0.0, fusion=fusion)
        assert bool(world.state.window["audio"]) is is_open


def test_each_modality_has_its_own_window():
    world = World(history=1, steps_per_epoch=2)
    for fusion in ({"audio": 2.0, "video": 1.0}, {"audio": 1.0, "video": 2.0}):
        for _ in range(2):
            world.step(1.0, 0.0, fusion={**fusion, "head": 1.0})
    assert jax.device_get(world.state.window) == {"audio": False, "video": True}
    begun = world.state, world.params
    for confidence, is_pulled in [((1.0, 0.0), False), ((0.0, 1.0), True)]:
        world.state, world.params = begun
        world.step(*confidence)
        added = world.step(*confidence)
        assert any(value.any() for value in added.values()) is is_pulled


def test_the_trace_counts_every_tensor_by_its_mean_square():
    params = {"audio": {"b": jnp.ones(2, jnp.float32), "w": jnp.ones((2, 3), jnp.float32)}}
    tx = info_reg({"audio": "audio"}, steps_per_epoch=2)
    state = tx.init(params)
    for scale in (1.0, 3.0):
        grads = {"audio": {"b": jnp.asarray([3.0, 1.0]), "w": jnp.full((2, 3), 2.0)}}
        fusion = jax.tree.map(lambda g, s=scale: g.astype(jnp.float32) * s, grads)
        _, state = tx.update(params, state, params, fusion_grads=fusion, confidence={"audio": 1.0})
    assert float(state.traces["audio"][-1]) == 9 * (1 + 9) / 2
    assert not state.traces["audio"][:-1].any()


THREE = World(NAMES)


@hypothesis.settings(max_examples=60)
@hypothesis.given(
    st.lists(st.floats(width=32, allow_subnormal=False), min_size=3, max_size=3),
    st.sampled_from([0.0, 1e-30, 1.0, 1e30, np.inf, np.nan]),
)
def test_no_finite_gradient_becomes_nan(confidence: list[float], fusion: float) -> None:
    """Whatever is not finite in the signals pulls nothing and enters no trace."""
    world = THREE
    world.start()
    for _ in range(EPOCH):
        added = world.step(*confidence, fusion=fusion)
        for group, value in added.items():
            assert np.isfinite(value).all()
            if group == "head" or not np.isfinite(confidence).all():
                assert not value.any()
        changed = [m for m in world.names if added[m].any()]
        assert len(changed) <= 1
        assert all(confidence[world.names.index(m)] == max(confidence) for m in changed)
    for leaf in jax.tree.leaves((world.state.running, world.state.traces)):
        assert np.isfinite(leaf).all()


def test_the_snapshot_is_a_copy_in_32_bits():
    tx = info_reg({"audio": "audio"}, steps_per_epoch=EPOCH)
    for dtype in (jnp.bfloat16, jnp.float32):
        params = {"audio": jnp.ones(2, dtype)}
        snapshot = tx.init(params).snapshot["audio"][0]
        assert snapshot.dtype == jnp.float32
        assert snapshot.unsafe_buffer_pointer() != params["audio"].unsafe_buffer_pointer()


def test_mapping_over_parameters_passes_over_the_snapshot():
    world = World()
    mapped = optax.tree.map_params(world.tx, lambda x: x + 1, world.state)
    chex.assert_trees_all_equal(mapped, world.state)


def test_an_absent_modality_is_neither_pulled_nor_a_rival() -> None:
    """Audio, the most confident, is absent: text is pulled, by its distance to video."""
    world = World(NAMES)
    world.step(1.0, 2.0, 0.0)
    ones = jax.tree.map(jnp.ones_like, world.params)
    signals = {
        "fusion_grads": ones,
        "confidence": {"text": 1.0, "audio": 2.0, "video": 0.0},
        "present": {"audio": jnp.asarray(False)},
    }
    updates, state = world.tx.update(ones, world.state, world.params, **signals)
    added = jax.device_get(jax.tree.map(lambda u: u - 1, updates))
    assert_pulls(added, text=0.5 * np.exp(np.tanh(1.0)) * 0.25)
    grown = {m: float(state.running[m]) > float(world.state.running[m]) for m in NAMES}
    assert grown == {"text": True, "audio": False, "video": True}
    # Text alone is present: there is nobody to hold it back for.
    signals["present"] = {"audio": jnp.asarray(False), "video": jnp.asarray(False)}
    updates, _ = world.tx.update(ones, world.state, world.params, **signals)
    chex.assert_trees_all_equal(updates, ones)


# --- mistakes, and the registry ---


@pytest.mark.parametrize(
    "options, message",
    [
        ({"steps_per_epoch": 0}, "steps_per_epoch must be an integer >= 1, got 0"),
        ({"steps_per_epoch": 2.5}, "steps_per_epoch must be an integer >= 1, got 2.5"),
        ({"history": 0}, "history must be an integer >= 1, got 0"),
        ({"history": True}, "history must be an integer >= 1, got True"),
        ({"beta": -0.1}, "beta must be a finite number >= 0, got -0.1"),
        ({"beta": np.nan}, "beta must be a finite number >= 0, got nan"),
        ({"beta": "1"}, "beta must be a finite number >= 0, got '1'"),
        (
            {"beta": {"audio": 1.0, "video": -1.0}},
            r"beta\['video'\] must be a finite number >= 0, got -1.0",
        ),
        ({"beta": {"audio": 1.0}}, r"beta must be a number or have one for each of \['audio'"),
        ({"threshold": 1.5}, r"threshold must be a number in \[0, 1\], got 1.5"),
    ],
)
def test_arguments_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        World(**options)


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"confidence": None},
            r"info_reg misses the signals \['confidence'\]: pass .* of the batch",
        ),
        ({"fusion_grads": None}, r"info_reg misses the signals \['fusion_grads'\]"),
        ({"confidence": {"audio": 1.0}}, r"confidence has no entry for the modalities \['video'\]"),
        ({"fusion_grads": [1.0]}, "fusion_grads must have the structure of params"),
        ({"params": None}, "info_reg needs params"),
        ({"present": {"smell": True}}, r"present names unknown modalities \['smell'\]"),
    ],
)
def test_signals_are_checked(changes: dict[str, Any], message: str) -> None:
    world = World()
    signals = {
        "params": world.params,
        "fusion_grads": world.params,
        "confidence": {"audio": 1.0, "video": 2.0},
        **changes,
    }
    with pytest.raises(ValueError, match=message):
        world.tx.update(world.params, world.state, **signals)


def test_registration():
    method = parse_method("info_reg")
    assert (method.options, method.loss_weight) == (InfoRegOptions(beta=0.95), 0.0)
    assert method.title == "InfoReg β=0.95"
    changed = parse_method("info_reg:beta=2,threshold=0.1,history=5,weight=1")
    assert (changed.title, changed.loss_weight) == ("InfoReg β=2, k>0.1, 5 epochs, λ=1", 1.0)
    assert changed.objective(Context()) is LATE_FUSION_OBJECTIVE
    released = parse_method("info_reg:parts_weight=1")
    assert released.title == "InfoReg β=0.95, parts=1"
    assert released.objective(Context()) == HeadPartsObjective(1.0)
    assert get_method("info_reg").signals == ("confidence",)
    world, same = World(beta=2.0, threshold=0.1, history=5), World()
    context = Context(steps_per_epoch=EPOCH)
    same.tx = changed.transformation(labels_of(world.names), context)
    same._update = same.tx.update
    same.start()
    for _ in range(2):
        got, want = same.step(1.0, 0.0), world.step(1.0, 0.0)
    assert_pulls(got, audio=want["audio"][0])
    chex.assert_trees_all_close(same.state, world.state)
    assert "an epoch is one step here" in changed.warning(Context(steps_per_epoch=1))
    assert changed.warning(context) == ""
    for option in ("beta=-1", "threshold=2", "history=0", "parts_weight=-1", "weight=nan"):
        with pytest.raises(ValueError, match="is out of range"):
            parse_method(f"info_reg:{option}")
