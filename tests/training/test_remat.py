"""Encoders whose activations are computed again: the same numbers, and less kept between passes."""

import math

import jax
import numpy as np
import pytest

from masam_jax.config import ModelConfig
from masam_jax.methods import parse_method
from masam_jax.training.one_step import Given, Moving, as_step
from masam_jax.training.over_seeds import first, first_given
from masam_jax.training.seed_step import SeedStep
from masam_jax.training.state import init_state
from masam_jax.training.task import Task
from tests.training.stateful import stateful_problem


def _task(spec, remat, seeds=1, **model):
    network = {"width": 5, "encoders": ("a=ffn", "b=ffn"), "dropout": 0.3} | model
    return Task(
        stateful_problem(seeds, model=ModelConfig(**network, remat=remat)), parse_method(spec)
    )


@pytest.mark.parametrize("spec", ["late_fusion", "masam:rho=2"])
def test_the_numbers_are_those_without_it(spec):
    """With dropout and batch norm; float32 rounding apart, for sums may be taken in another way."""
    ends = []
    for remat in (False, True):
        task = _task(spec, remat)
        state, step = init_state(task), SeedStep(task)
        state, losses = step(state, task.batches.at(0), 0)
        ends.append(jax.device_get((state.statistics, losses, state.opt_state)))
    jax.tree.map(
        lambda ours, theirs: np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5), *ends
    )


def _kept(remat):
    """Bytes that the encoders' pass forwards leaves to the pass backwards, of one seed."""
    task = _task("masam", remat, depth=8, encoders=(), dropout=0.0)
    state, problem = init_state(task), task.problem
    moving = first(Moving(*(getattr(state, name) for name in Moving._fields)))
    batch = task.batches.at(0)
    given = Given(batch, problem.statistics, problem.seed_keys, 0, None, problem.resident)
    step = as_step(task, moving, first_given(given))
    encoders = task._late_fusion(task.network.modalities).encoders

    def pullbacks(params):
        return [
            jax.vjp(lambda tree, run=run: run(tree, step)["features"], params)[1]
            for run in encoders.values()
        ]

    kept = jax.tree.leaves(jax.eval_shape(pullbacks, moving.params))
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in kept)


def test_the_pass_forwards_keeps_less():
    """Eight layers of two encoders keep their activations; else parameters and inputs are kept."""
    assert _kept(remat=True) < 0.7 * _kept(remat=False)


def test_transformers_over_all_tokens_are_refused():
    with pytest.raises(ValueError, match="architecture=early_fusion has its layers"):
        ModelConfig(architecture="early_fusion", remat=True)
