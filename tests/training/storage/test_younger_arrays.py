"""Checkpoints of versions that knew less: what is only counted or reported starts at zero."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masam_jax.config.errors import RunError
from masam_jax.methods import parse_method
from masam_jax.training.state import abstract_state, init_state
from masam_jax.training.storage.checkpoints import Checkpoints, RunProgress
from masam_jax.training.storage.younger_arrays import without, younger_arrays
from masam_jax.training.task import Task

CONFIG = {"kind": "train"}


class _Empty(NamedTuple):
    """As the state of `mmpareto` once was."""


class _OldState(NamedTuple):
    """As `DominanceState` once was."""

    inner: Any
    counts: Any
    steps: Any


class _OldSam(NamedTuple):
    """As the state of `m_sam` once was."""

    count: Any
    dominant: Any


def _older(state: Any) -> Any:
    """A state as it was before the counts of choices, and before methods reported anything."""
    mine, *rest = state.opt_state.inner
    counts, steps = state.opt_state.counts, state.opt_state.steps
    if type(mine).__name__ == "MMParetoState":
        mine = _Empty()
    if type(mine).__name__ == "MSamState":
        mine, counts, steps = _OldSam(mine.count, mine.dominant), None, None
    return state._replace(opt_state=_OldState((mine, *rest), counts, steps))


@pytest.mark.parametrize("method", ["masam", "mmpareto", "m_sam"])
def test_an_older_checkpoint_goes_on(method, make_problem, tmp_path):
    task = Task(make_problem(2), parse_method(method))
    state = init_state(task)
    state = state._replace(params=jax.tree.map(lambda x: x + 1, state.params))
    with Checkpoints(tmp_path / "c", CONFIG) as checkpoints:
        checkpoints.save(_older(state), RunProgress(3), 0.5)
        checkpoints.wait()
        found, progress = checkpoints.restore(abstract_state(task))
    assert progress.step == 3
    # Everything of this state was zero but what the older one has.
    assert jax.tree.structure(found) == jax.tree.structure(state)
    assert jax.tree.all(jax.tree.map(np.array_equal, found, state))
    assert all(
        a.sharding == b.sharding
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(abstract_state(task)), strict=True)
    )


def test_parts_of_an_older_checkpoint(make_problem, tmp_path):
    task = Task(make_problem(2), parse_method("pmr"))
    state = init_state(task)
    older = {k: v for k, v in state.method_state._asdict().items() if k != "report"}
    with Checkpoints(tmp_path / "c", CONFIG) as checkpoints:
        checkpoints.save(state._replace(method_state=older), RunProgress(3), 0.5)
        checkpoints.wait()
        like = {"method_state": abstract_state(task).method_state, "average": None}
        found = checkpoints.restore_parts(like)
    assert found["average"] is None
    assert jax.tree.structure(found["method_state"]) == jax.tree.structure(state.method_state)
    assert jax.tree.all(jax.tree.map(np.array_equal, found["method_state"], state.method_state))


def test_an_array_that_something_is_trained_by_may_not_be_lacking(make_problem, tmp_path):
    task = Task(make_problem(2), parse_method("late_fusion"))
    state = init_state(task)
    with Checkpoints(tmp_path / "c", CONFIG) as checkpoints:
        fewer = {k: v for k, v in state.params.items() if k != "fusion"}
        checkpoints.save(state._replace(params=fewer), RunProgress(3), 0.5)
        checkpoints.wait()
        with pytest.raises(RunError, match="another model"):
            checkpoints.restore(abstract_state(task))


def test_which_arrays_may_be_lacking():
    wanted = {
        "opt_state/choices/pairs",
        "opt_state/inner/0/report/fusion_weight/audio",
        "opt_state/inner/0/key",
        "params/report",
        "stopped",
    }
    assert younger_arrays({"stopped"}, wanted) == {
        "opt_state/choices/pairs",
        "opt_state/inner/0/report/fusion_weight/audio",
    }
    assert younger_arrays(wanted, wanted) == frozenset()


def test_a_tree_without_some_of_its_arrays():
    tree = {"a": (_OldSam(jnp.ones(1), jnp.ones(2)), {"x": jnp.ones(3)}), "b": {"c": jnp.ones(1)}}
    left = without(tree, {"a/0/dominant", "b/c", "a/1/x"})
    assert jax.tree.map(jnp.shape, left) == {"a": ({"count": (1,)}, None)}
