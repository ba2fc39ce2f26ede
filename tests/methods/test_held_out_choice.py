"""``masam:select=held_out`` in the training loop: what is measured, when, and who is chosen."""

from __future__ import annotations

import functools
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masam_jax.methods import Context, Schedule, parse_method
from masam_jax.methods.held_out_choice import HeldOutSchedule, HeldOutState
from masam_jax.methods.objective import LATE_FUSION_OBJECTIVE
from masam_jax.training import host_step
from masam_jax.training.interrupt import InterruptedRun
from masam_jax.training.seed_step import SeedStep
from masam_jax.training.state import init_state
from masam_jax.training.task import Task
from masam_jax.training.train_step import make_train_step
from tests.methods import small_runs

SPEC = "masam:rho=0.5,select=held_out,held_out=0.25"


class _Probe:
    """Has those losses."""

    def __init__(self, **losses: list[float]) -> None:
        self._losses = losses
        self.modalities = tuple(losses)

    def losses(self, params: Any, split: str) -> dict[str, jax.Array]:
        assert (params, split) == ("of the run", "held_out")
        return {m: jnp.asarray(each) for m, each in (self._losses | {"fusion": [9.0, 9.0]}).items()}

    def train(self, *arguments: Any) -> Any:
        raise AssertionError("nothing is tried")


def test_a_mean_over_no_sample_is_not_known() -> None:
    state = HeldOutState({m: jnp.full(2, jnp.inf) for m in "ab"})
    probe = _Probe(a=[0.5, 0.0], b=[2.0, float("nan")])
    losses = HeldOutSchedule().revise(probe, "of the run", (), state).losses
    np.testing.assert_array_equal(losses["a"], np.asarray([0.5, np.inf], np.float32))
    np.testing.assert_array_equal(losses["b"], np.asarray([2.0, np.nan], np.float32))


def test_other_selections_hold_nothing_out() -> None:
    for spec in ("masam", "masam:held_out=0.5", "masam:select=lowest_loss"):
        method = parse_method(spec)
        assert method.objective(Context()) is LATE_FUSION_OBJECTIVE
        assert method.schedule == Schedule()


def _held_out_losses(task: Task, params: Any, seed: int) -> list[float]:
    """By NumPy from the logits; modalities in sorted order."""
    problem, rows = task.problem, task.training_rows["held_out"][seed]
    inputs = {}
    for m, (mean, std) in problem.host_statistics.items():
        inputs[m] = jnp.asarray((problem.data.features[m][rows] - mean[seed]) / std[seed])
    _, unimodal = task.network.apply(jax.tree.map(lambda x: jnp.asarray(x[seed]), params), inputs)
    losses, labels = [], problem.data.labels[rows]
    for m in problem.modalities:
        wide = np.asarray(unimodal[m], np.float64)
        wide -= np.log(np.exp(wide).sum(1, keepdims=True))
        losses.append(-wide[np.arange(len(rows)), labels].mean())
    return losses


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Four epochs of two steps, whole and stopped within the second; two seeds on two devices."""
    problem, directory = (
        small_runs.small_problem(2, devices=2, steps=8),
        tmp_path_factory.mktemp("runs"),
    )
    whole = small_runs.run(problem, SPEC, directory / "whole")
    with pytest.raises(InterruptedRun):
        small_runs.run(problem, SPEC, directory / "parts", stop=3)
    stopped = small_runs.saved_state(problem, SPEC, directory / "parts")
    parts = small_runs.run(problem, SPEC, directory / "parts")
    states = [small_runs.saved_state(problem, SPEC, directory / n) for n in ("whole", "parts")]
    return {"problem": problem, "results": (whole, parts), "states": states, "stopped": stopped}


def test_a_run_resumes_bit_for_bit(runs: dict[str, Any]) -> None:
    whole, parts = map(small_runs.numbers, runs["results"])
    assert whole == parts
    assert jax.tree.all(jax.tree.map(np.array_equal, *runs["states"]))


def test_held_out_samples_are_a_part_of_the_training_s(runs: dict[str, Any]) -> None:
    task = Task(runs["problem"], parse_method(SPEC))
    assert (task.steps_per_epoch, task.period) == (2, 2)
    for seed, split in enumerate(runs["problem"].splits):
        held_out = set(task.training_rows["held_out"][seed].tolist())
        assert len(held_out) == 5
        assert held_out < set(split.train.tolist())
        drawn = {int(i) for step in range(2) for i in task.row_batches[step][seed]}
        assert not drawn & held_out


def test_the_first_measurement_is_before_the_first_step(tmp_path: Any) -> None:
    problem = small_runs.small_problem(2, steps=2)
    task = Task(problem, parse_method(SPEC))
    with jax.numpy_dtype_promotion("standard"):
        start = jax.device_get(init_state(task))
    assert np.isinf(np.stack(list(start.method_state.losses.values()))).all()
    small_runs.run(problem, SPEC, tmp_path)
    state = small_runs.saved_state(problem, SPEC, tmp_path)
    for seed in range(2):
        found = [float(losses[seed]) for losses in state.method_state.losses.values()]
        expected = _held_out_losses(task, start.params, seed)
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        counts = np.zeros(2, np.int32)
        counts[np.argmin(expected)] = 2
        np.testing.assert_array_equal(state.opt_state.counts[seed], counts)


def test_the_host_chooses_as_the_program_does(monkeypatch: pytest.MonkeyPatch) -> None:
    task = Task(small_runs.small_problem(1, steps=2), parse_method(SPEC))
    split = functools.partial(make_train_step, dispatch="host")
    monkeypatch.setattr(host_step, "make_train_step", split)
    after = []
    with jax.numpy_dtype_promotion("standard"):
        for on_host in (True, False):
            state, step = init_state(task), SeedStep(task, on_host=on_host)
            for index, known in enumerate(([2.0, 1.0], [1.0, np.nan], [np.nan, np.nan])):
                old = state.method_state.losses
                losses = {
                    m: jax.device_put(jnp.full_like(old[m], loss), old[m].sharding)
                    for m, loss in zip(old, known, strict=True)
                }
                state = state._replace(method_state=HeldOutState(losses))
                state, _ = step(state, task.batches.at(index), index)
            after.append(jax.device_get((state.params, state.opt_state.counts)))
    (params, counts), (expected, counted) = after
    np.testing.assert_array_equal(counts, [[1, 1]])
    np.testing.assert_array_equal(counted, counts)
    chex.assert_trees_all_close(params, expected, rtol=1e-4, atol=1e-5)


def test_every_epoch_measures_anew(runs: dict[str, Any]) -> None:
    (whole, _), stopped = runs["states"], runs["stopped"]
    for m, losses in whole.method_state.losses.items():
        assert np.isfinite(losses).all()
        assert not np.any(losses == stopped.method_state.losses[m])
