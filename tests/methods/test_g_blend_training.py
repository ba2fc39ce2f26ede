"""The trials of G-Blend, and the training that they interrupt."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masam_jax.core.losses import cross_entropy
from masam_jax.methods import parse_method
from masam_jax.methods.g_blend import GBlendObjective, GBlendSchedule, GBlendState
from masam_jax.training.interrupt import InterruptedRun
from masam_jax.training.schedule_probe import TrainingProbe
from masam_jax.training.seed_step import SeedStep
from masam_jax.training.state import init_state
from masam_jax.training.task import Task
from tests.core.networks import encode
from tests.core.reference_network import Batch, draw_batches, initialise, nested
from tests.methods import small_runs
from tests.methods.g_blend_reference import train
from tests.methods.reference_objective import ReferenceNetwork, value_and_grad

RATE = 0.1
SPEC = "g_blend:super_epoch=1,held_out=0.25"
PARTS = ("fit", "held_out")


# --- trials ---


def _state(seeds: int, *names: str, trial_steps: int) -> GBlendState:
    share = jnp.full(seeds, 1 / len(names))
    return GBlendState(dict.fromkeys(names, share), jnp.full(seeds, trial_steps, jnp.int32))


class _Quadratics:
    """Loss k is ``(θ_k - a_k)² / 2`` on fit samples and ``(θ_k - b_k)² / 2`` on held-out ones."""

    def __init__(self, fit: Mapping[str, float], held_out: Mapping[str, float]) -> None:
        self._targets = {"fit": fit, "held_out": held_out}
        self.modalities = tuple(sorted(set(fit) - {"fusion"}))
        self.calls: list[tuple[Any, Any, dict[str, list[float]], int]] = []

    def losses(self, params: Any, split: str) -> dict[str, jax.Array]:
        return {k: 0.5 * (params[k] - b) ** 2 for k, b in self._targets[split].items()}

    def train(self, params: Any, opt_state: Any, state: Any, steps: int) -> tuple[Any, Any]:
        weights = {k: w.tolist() for k, w in state.weights.items()}
        self.calls.append((params, opt_state, weights, steps))
        for _ in range(steps):
            params = {
                k: x - RATE * state.weights[k] * (x - self._targets["fit"][k])
                for k, x in params.items()
            }
        return params, "of the trial"


@pytest.mark.parametrize("smallest", [1e-3, 2.0])
def test_closed_form(x64: None, smallest: float) -> None:
    """n steps of gradient descent bring θ to ``a + (1 - η)^n (θ - a)``."""
    fit = {"fusion": 0.0, "m0": 1.0, "m1": -2.0}
    held_out = {"fusion": 0.5, "m0": 3.0, "m1": -2.1}
    start = {k: jnp.array([4.0, -1.0, 2.0]) for k in fit}
    probe, steps = _Quadratics(fit, held_out), 7
    state = _state(3, *fit, trial_steps=steps)
    schedule = GBlendSchedule(smallest_overfitting=smallest)
    revised = schedule.revise(probe, start, "of the run", state)
    shares = {}
    for k, a in fit.items():
        theta = np.array([4.0, -1.0, 2.0])
        moved = a + (1 - RATE) ** steps * (theta - a)
        held_out_loss = [(x - held_out[k]) ** 2 / 2 for x in (theta, moved)]
        gap = [h - (x - a) ** 2 / 2 for h, x in zip(held_out_loss, (theta, moved), strict=True)]
        overfitting = np.maximum(np.abs(gap[1] - gap[0]), smallest)
        shares[k] = np.abs(held_out_loss[0] - held_out_loss[1]) / overfitting**2
    for k, share in shares.items():
        np.testing.assert_allclose(revised.weights[k], share / sum(shares.values()), rtol=1e-8)
    assert revised.trial_steps is state.trial_steps


def test_what_is_tried() -> None:
    targets = {"fusion": 0.0, "m0": 1.0, "m1": -2.0}
    start = {k: jnp.array([4.0, -1.0]) for k in targets}
    probe = _Quadratics(targets, {k: a + 1 for k, a in targets.items()})
    state = _state(2, *targets, trial_steps=5)
    GBlendSchedule().revise(probe, start, "of the run", state)
    one, none = [1.0, 1.0], [0.0, 0.0]
    assert [(weights, steps) for _, _, weights, steps in probe.calls] == [
        ({"fusion": one, "m0": none, "m1": none}, 5),
        ({"fusion": none, "m0": one, "m1": one}, 5),
    ]
    # Both start where the run is.
    assert all(params is start for params, _, _, _ in probe.calls)
    assert all(opt_state == "of the run" for _, opt_state, _, _ in probe.calls)


# --- training ---


class _ReferenceProbe:
    """Gradient descent on the network of ``reference_network``, for seeds ``[S]``."""

    def __init__(
        self, network: ReferenceNetwork, batches: list[Batch], fit: Batch, held_out: Batch
    ) -> None:
        self.modalities = network.modalities
        self.at = 0
        self._network, self._batches = network, batches
        self._parts = {"fit": fit, "held_out": held_out}
        gradients_of = value_and_grad(GBlendObjective(), network, weight=1.0)

        def step(params: Any, state: Any, inputs: Any, labels: Any) -> Any:
            _, grads, _ = gradients_of(params, inputs, labels, state)
            return jax.tree.map(lambda p, g: p - RATE * g, params, grads)

        self._step = jax.jit(jax.vmap(step))
        self._measure = jax.jit(jax.vmap(self._plain))

    def losses(self, params: Any, split: str) -> dict[str, jax.Array]:
        return self._measure(params, *self._parts[split])

    def step(self, params: Any, state: Any, step: int) -> Any:
        return self._step(params, state, *self._batches[step])

    def train(self, params: Any, opt_state: Any, state: Any, steps: int) -> tuple[Any, Any]:
        for step in range(self.at, self.at + steps):
            params = self.step(params, state, step)
        return params, opt_state

    def _plain(self, params: Any, inputs: Any, labels: Any) -> dict[str, jax.Array]:
        features = {m: encode(params, m, inputs) for m in self.modalities}
        unimodal = self._network.unimodal(params, features)
        losses = {m: cross_entropy(z, labels) for m, z in unimodal.items()}
        return losses | {"fusion": cross_entropy(self._network.fuse(params, features), labels)}


def _stack(*trees: Any) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack([jnp.asarray(x) for x in leaves]), *trees)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_trajectory_of_the_reference(x64: None, count: int) -> None:
    names = ("text", "audio", "video")[:count]
    dimensions = {m: 3 + i for i, m in enumerate(names)}
    super_epoch, trial, steps, seeds = 2, 3, 6, (11, 12)
    objective, network = GBlendObjective(trial_steps=trial), ReferenceNetwork(*names)
    initial = [initialise(seed, dimensions) for seed in seeds]
    data = [draw_batches(seed, dimensions, steps=steps + trial + 2) for seed in seeds]
    courses = [
        train(
            parameters,
            batches[2:],
            *batches[:2],
            super_epoch=super_epoch,
            trial=trial,
            steps=steps,
            rate=RATE,
        )
        for parameters, batches in zip(initial, data, strict=True)
    ]
    fit, held_out, *batches = [_stack(*each) for each in zip(*data, strict=True)]
    probe = _ReferenceProbe(network, batches, fit, held_out)
    params = _stack(*[nested(parameters) for parameters in initial])
    state = jax.vmap(functools.partial(objective.init_state, network))(params)
    for step in range(steps):
        if step % super_epoch == 0:
            probe.at = step
            state = GBlendSchedule().revise(probe, params, (), state)
        params = probe.step(params, state, step)
        assert objective.advance(state, ()) is state
        for k in ("fusion", *names):
            want = [course[step][1][k] for course in courses]
            np.testing.assert_allclose(state.weights[k], want, rtol=1e-8)
        chex.assert_trees_all_close(
            params, _stack(*[nested(course[step][0]) for course in courses]), rtol=1e-09, atol=1e-10
        )


def test_one_trial_of_all_unimodal_losses_is_one_of_each() -> None:
    """With AdamW, whose moments and weight decay are the run's, as the training loop has it."""
    problem = small_runs.small_problem(2)
    task = Task(problem, parse_method("g_blend"))
    with jax.numpy_dtype_promotion("standard"):
        state = init_state(task)
        probe = TrainingProbe(task, SeedStep(task)).at(state, 0)

        def tried(*trained: str) -> Any:
            weights = {
                k: jnp.full_like(w, float(k in trained))
                for k, w in state.method_state.weights.items()
            }
            blend = state.method_state._replace(weights=weights)
            params, _ = probe.train(state.params, state.opt_state, blend, 4)
            return jax.device_get(probe.losses(params, "held_out"))

        before = jax.device_get(probe.losses(state.params, "held_out"))
        together = tried(*problem.modalities)
        for m in problem.modalities:
            alone = tried(m)
            np.testing.assert_allclose(together[m], alone[m], rtol=1e-5)
            assert not np.allclose(alone[m], before[m], rtol=1e-3)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A run with trials before steps 0 and 3, whole and stopped between them; two devices."""
    problem, directory = small_runs.small_problem(2, devices=2), tmp_path_factory.mktemp("runs")
    whole = small_runs.run(problem, SPEC, directory / "whole")
    with pytest.raises(InterruptedRun):
        small_runs.run(problem, SPEC, directory / "parts", stop=2)
    parts = small_runs.run(problem, SPEC, directory / "parts")
    states = [small_runs.saved_state(problem, SPEC, directory / n) for n in ("whole", "parts")]
    return {"problem": problem, "results": (whole, parts), "states": states}


def test_a_run_has_weights_of_its_own_for_every_seed(runs: dict[str, Any]) -> None:
    weights = np.stack(list(runs["states"][0].method_state.weights.values()))
    assert weights.shape == (3, 2)
    assert np.all(np.isfinite(weights))
    np.testing.assert_allclose(weights.sum(axis=0), 1, rtol=1e-5)
    assert not np.allclose(weights, 1 / 3, atol=1e-2)
    assert not np.allclose(weights[:, 0], weights[:, 1], atol=1e-2)


def test_a_run_resumes_bit_for_bit(runs: dict[str, Any]) -> None:
    whole, parts = map(small_runs.numbers, runs["results"])
    assert whole == parts
    assert jax.tree.all(jax.tree.map(np.array_equal, *runs["states"]))


def test_held_out_samples_are_never_trained_on(runs: dict[str, Any]) -> None:
    task = Task(runs["problem"], parse_method(SPEC))
    for seed, split in enumerate(runs["problem"].splits):
        fit, held_out = (set(task.training_rows[part][seed].tolist()) for part in PARTS)
        assert (len(fit), len(held_out)) == (15, 5)
        assert fit | held_out == set(split.train.tolist())
        assert {int(i) for step in range(6) for i in task.row_batches[step][seed]} == fit
