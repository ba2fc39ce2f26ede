"""Norms of gradients in the log: the right numbers, and no pass backwards for them unless asked."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from masam_jax.core.partition import resolve_partition
from masam_jax.methods import parse_method
from masam_jax.training.gradient_norms import gradient_norms
from masam_jax.training.one_step import Given, Moving, as_step
from masam_jax.training.seed_step import SeedStep
from masam_jax.training.state import init_state
from masam_jax.training.task import Task

FUSION, UNIMODAL = "fusion_gradient_norm", "unimodal_gradient_norm"


def _losses(problem, spec):
    task = Task(problem, parse_method(spec))
    step = SeedStep(task, on_host=False)
    return step(init_state(task), task.batches.at(0), 0)[1], step


def test_the_norm_is_of_the_encoder_as_one_vector():
    params = {"a": {"w": np.ones((2, 2), np.float32), "b": np.ones(1, np.float32)}, "v": np.ones(1)}
    grads = {"a": {"w": np.full((2, 2), 3.0), "b": np.full(1, 8.0)}, "v": np.full(1, -2.0)}
    signals = {"fusion_grads": grads}
    norms = gradient_norms({"a": "a", "v": "v"}, params, signals, {"fusion": ("a", "v")})
    assert {m: float(x) for m, x in norms[FUSION].items()} == {"a": 10.0, "v": 2.0}
    assert gradient_norms({"a": "a", "v": "v"}, params, {}, {}) == {}


def test_norms_are_those_of_the_signals(make_problem):
    problem = make_problem(2, log_gradients=True)
    losses, _ = _losses(problem, "late_fusion")
    task = Task(problem, parse_method("masam"))
    state = init_state(task)
    first = jax.tree.map(lambda x: x[0], (state.params, state.statistics, state.method_state))
    given = Given(
        *(jax.tree.map(lambda x: x[0], part) for part in (task.batches.at(0), problem.statistics)),
        problem.seed_keys[0],
        np.int32(0),
        None,
        problem.resident,
    )
    inputs = as_step(task, Moving(first[0], None, first[1], None, first[2]), given)
    _, _, signals = task.value_and_grad()(first[0], inputs)
    partition = resolve_partition(task.network.labels, first[0])
    for name, key in (("fusion", FUSION), ("unimodal", UNIMODAL)):
        for m in problem.modalities:
            leaves = [np.ravel(x) for x in partition.leaves(signals[f"{name}_grads"], m)]
            want = np.linalg.norm(np.concatenate(leaves).astype(np.float64))
            np.testing.assert_allclose(losses.aux.gradient_norms[key][m][0], want, rtol=1e-4)


@pytest.mark.parametrize(
    ("spec", "logged"),
    [
        ("late_fusion", set()),
        ("sam", set()),
        ("masam", {FUSION, UNIMODAL}),
        ("mmpareto", {FUSION, UNIMODAL}),
        ("info_reg", {FUSION}),
    ],
)
def test_methods_log_what_they_read(make_problem, spec, logged):
    task = Task(make_problem(1), parse_method(spec))
    assert {f"{kind}_gradient_norm" for kind in task._logged_gradients(None)} == logged


def test_a_modality_in_turn_has_a_gradient_of_its_own_alone(make_problem):
    losses, _ = _losses(make_problem(1, log_gradients=True), "mla")
    assert set(losses.aux.gradient_norms) == {UNIMODAL}
    norms = losses.aux.gradient_norms[UNIMODAL]
    assert set(norms) == {"m0", "m1"}
    assert min(float(x[0]) for x in norms.values()) > 0


def test_asking_costs_a_pass_backwards_and_not_asking_none(make_problem):
    flops = {
        (spec, asked): _losses(make_problem(1, log_gradients=asked), spec)[1].flops
        for spec in ("late_fusion", "masam:select=all")
        for asked in (False, True)
    }
    assert flops["late_fusion", True] > 1.1 * flops["late_fusion", False]
    # What MASAM computes anyway: nothing but a few sums.
    assert flops["masam:select=all", True] == flops["masam:select=all", False]
