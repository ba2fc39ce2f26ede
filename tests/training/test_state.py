"""The course of early stopping, and the state's invariants."""

import jax
import numpy as np
import pytest

from masam_jax.methods import parse_method
from masam_jax.training.seed_step import SeedStep
from masam_jax.training.state import abstract_state, init_state, record_evaluation
from masam_jax.training.task import Task


def _step(task, state, count=1, start=0):
    step = SeedStep(task)
    for index in range(start, start + count):
        state, losses = step(state, task.batches.at(index), index)
    return state, losses


def _task(problem, spec):
    return Task(problem, parse_method(spec))


def test_abstract_state_is_the_states_shape(make_problem):
    task = _task(make_problem(3), "masam:select=random")
    state, abstract = init_state(task), abstract_state(task)
    assert jax.tree.structure(state) == jax.tree.structure(abstract)
    for leaf, shape in zip(jax.tree.leaves(state), jax.tree.leaves(abstract), strict=True):
        assert (leaf.shape, leaf.dtype) == (shape.shape, shape.dtype)
        assert leaf.shape[0] == 3


def test_methods_start_from_the_same_parameters_and_seeds_from_others(make_problem):
    problem = make_problem(2)
    ours, theirs = (init_state(_task(problem, s)).params for s in ("masam", "sam"))
    assert jax.tree.all(jax.tree.map(np.array_equal, ours, theirs))
    kernel = jax.tree.leaves(ours["encoders"]["m0"])[-1]
    assert not np.array_equal(kernel[0], kernel[1])


@pytest.mark.parametrize("spec", ["late_fusion", "sam:rho=0.5", "masam:rho=2,select=random"])
def test_seeds_together_are_the_seeds_alone(make_problem, spec):
    """vmap changes nothing, and the one-seed path (host dispatch on CPU) agrees with it."""
    together, _ = _step(task := _task(make_problem(3), spec), init_state(task), 5)
    for seed in range(3):
        alone = _task(make_problem(1, seed_offset=seed), spec)
        state, _ = _step(alone, init_state(alone), 5)
        for ours, theirs in zip(
            jax.tree.leaves(state.params), jax.tree.leaves(together.params), strict=True
        ):
            np.testing.assert_allclose(ours[0], theirs[seed], rtol=2e-3, atol=2e-5)


def test_best_parameters_and_patience(make_problem):
    problem = make_problem(2, patience=2)
    task = _task(problem, "late_fusion")
    state = init_state(task)
    accuracies = [[0.5, 0.5], [0.6, 0.5], [0.6, 0.4], [0.7, 0.9], [0.8, 0.9]]
    for index, accuracy in enumerate(accuracies):
        state, _ = _step(task, state, start=index)
        before = jax.device_get(state)
        state = record_evaluation(problem, state, np.array(accuracy), step=index + 1)
    # Seed 1: best at step 1, two evaluations without improvement, and 0.9 came too late.
    assert state.best_step.tolist() == [5, 1]
    np.testing.assert_allclose(state.best_score, [0.8, 0.5], rtol=1e-6)
    assert state.stopped.tolist() == [False, True]
    for best, old in zip(
        jax.tree.leaves(state.best_params), jax.tree.leaves(before.params), strict=True
    ):
        assert np.array_equal(best[0], old[0])


def test_stopped_seeds_stand_still(make_problem):
    problem = make_problem(2, patience=1)
    state = init_state(task := _task(problem, "masam"))
    state = record_evaluation(problem, state, np.array([0.5, 0.5]), step=1)
    state = record_evaluation(problem, state, np.array([0.6, 0.4]), step=2)
    assert state.stopped.tolist() == [False, True]
    before = jax.device_get(state)
    after, _ = _step(task, state, 3)
    moved = [
        [not np.array_equal(new[s], old[s]) for s in range(2)]
        for new, old in zip(
            jax.tree.leaves((after.params, after.opt_state)),
            jax.tree.leaves((before.params, before.opt_state)),
            strict=True,
        )
    ]
    assert any(seed_0 for seed_0, _ in moved)
    assert not any(seed_1 for _, seed_1 in moved)


def test_no_seed_stops_before_the_least_number_of_steps(make_problem):
    problem = make_problem(2, patience=2)
    state = init_state(_task(problem, "late_fusion"))
    for step, scores in enumerate([[0.5, 0.5], [0.4, 0.4], [0.4, 0.4], [0.4, 0.6]], start=1):
        state = record_evaluation(problem, state, np.array(scores), step=step, least=4)
        # Evaluations count all the same: seed 0 stops as soon as it may.
        assert state.stopped.tolist() == ([False, False] if step < 4 else [True, False])
    assert state.stale.tolist() == [3, 0]


def test_the_loop_counts_the_least_in_epochs(make_problem):
    stops = []
    for epochs in (0, 3):
        problem = make_problem(1, steps=12, patience=1, min_epochs=epochs, evaluate_every=2)
        task = _task(problem, "late_fusion")
        assert task.steps_per_epoch == 2
        state = init_state(task)
        for step in range(2, 13, 2):
            least = problem.experiment.evaluation.min_epochs * task.steps_per_epoch
            state = record_evaluation(problem, state, np.array([0.5]), step=step, least=least)
            if state.stopped.all():
                stops.append(step)
                break
    assert stops == [4, 6]


def test_without_patience_no_seed_stops(make_problem):
    problem = make_problem(1)
    state = init_state(_task(problem, "late_fusion"))
    for step in range(5):
        state = record_evaluation(problem, state, np.array([0.5]), step=step)
    assert state.stopped.tolist() == [False]
    assert state.stale.tolist() == [4]


def test_dominance_is_counted(make_problem):
    problem = make_problem(4)
    task = _task(problem, "masam:rho=1,select=m1")
    state, _ = _step(task, init_state(task), 5)
    assert state.opt_state.counts.tolist() == [[0, 5]] * 4
    assert state.opt_state.steps.tolist() == [5] * 4
    plain = init_state(_task(problem, "late_fusion"))
    assert plain.opt_state.counts is None
