"""Approximate steps in the training loop: what earlier ones measured, and other alignments."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from masam_jax.core.masam import MasamState
from masam_jax.methods import parse_method
from masam_jax.training.seed_step import SeedStep
from masam_jax.training.state import init_state
from masam_jax.training.task import Task

SPEC = "masam:rho=4,perturb_every=2"
OF_FEATURES, OF_PART = "masam:rho=4,alignment=features", "masam:rho=4,alignment_part=4"


def run(problem, spec, steps=3, *, on_host=False):
    """The state and the counts of steps after a few of them, and the step."""
    task = Task(problem, parse_method(spec))
    step, state = SeedStep(task, on_host=on_host), init_state(task)
    for t in range(steps):
        state, _ = step(state, task.batches.at(t), t)
    return state, step


def masam_state(state):
    nodes = jax.tree.leaves(state.opt_state, is_leaf=lambda x: isinstance(x, MasamState))
    return next(node for node in nodes if isinstance(node, MasamState))


def test_the_cost_is_the_mean_over_the_programs(make_problem):
    problem = make_problem(2)
    late, exact, every_other = (run(problem, s, 1)[1].flops for s in ("late_fusion", "masam", SPEC))
    # Networks this small spend much on sums over parameters: tests/core/test_refresh.py counts.
    assert late < every_other < exact


@pytest.mark.parametrize("spec", ["masam:rho=4", "masam:rho=4,perturb_every=2,reuse=none"])
def test_the_component_changes_what_is_learned(make_problem, spec):
    problem = make_problem(2)
    reusing, _ = run(problem, SPEC)
    other, _ = run(problem, spec)
    leaves = zip(jax.tree.leaves(reusing.params), jax.tree.leaves(other.params), strict=True)
    assert max(float(np.abs(a - b).max()) for a, b in leaves) > 1e-6
    assert masam_state(other).component is None
    assert masam_state(reusing).component is not None


@pytest.mark.parametrize("spec", [SPEC, OF_FEATURES, OF_PART])
def test_the_host_gives_the_same_numbers(make_problem, spec):
    problem = make_problem(1)
    compiled, _ = run(problem, spec)
    on_host, _ = run(problem, spec, on_host=True)
    for a, b in zip(jax.tree.leaves(compiled.params), jax.tree.leaves(on_host.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize("spec", [OF_FEATURES, OF_PART])
def test_another_alignment_reaches_the_loop(make_problem, spec):
    problem = make_problem(2)
    exact, other = (masam_state(run(problem, s, 1)[0]).scores for s in ("masam:rho=4", spec))
    for m, alignment in exact.alignment.items():
        assert np.abs(alignment - other.alignment[m]).max() > 1e-3
        np.testing.assert_allclose(exact.ma_loss[m], other.ma_loss[m], rtol=1e-5)


@pytest.mark.parametrize("spec", [SPEC, OF_FEATURES, OF_PART])
def test_norms_that_would_cost_a_pullback_are_not_logged(make_problem, spec):
    assert Task(make_problem(1), parse_method(spec))._logged_gradients(None) == {}
