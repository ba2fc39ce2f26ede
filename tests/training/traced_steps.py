"""A step of all seeds, traced and not run: shapes and dtypes alone."""

import jax
import jax.numpy as jnp

from masam_jax.training.compiled_step import CompiledStep
from masam_jax.training.one_step import Given, Moving
from masam_jax.training.state import abstract_state


def traced_step(task):
    """The state and the losses of a checked task; a step leaves the state in the form it had."""
    task.check()
    state, problem = abstract_state(task), task.problem
    given = Given(
        task.batches.at(0),
        problem.statistics,
        problem.seed_keys,
        jnp.int32(0),
        state.stopped,
        problem.resident,
    )
    before = Moving(*(getattr(state, name) for name in Moving._fields))
    step = CompiledStep(task)._steps[task.method.cycle[0]]
    after, losses = step.eval_shape(before._replace(method_state=None), before.method_state, given)
    assert _shapes(tuple(after)) == _shapes(tuple(before))
    return state, losses


def _shapes(tree):
    return jax.tree.map(lambda x: (x.shape, x.dtype), tree)
