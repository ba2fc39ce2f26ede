"""Run directories that were not trained: every array of their checkpoints is made up."""

import io
from unittest import mock

import jax
import numpy as np
from rich.console import Console

from masam_jax.config import InputConfig, OutputConfig
from masam_jax.methods import parse_method
from masam_jax.training import run
from masam_jax.training.plan import plan_comparison, plan_training
from masam_jax.training.progress_report import ProgressReport
from masam_jax.training.run import execute
from masam_jax.training.state import abstract_state
from masam_jax.training.storage.checkpoints import Checkpoints, RunProgress


def save_run(path, methods, experiment, inputs=None):
    """A directory as ``masam train`` writes it for one method, ``masam compare`` for several.

    Args:
      path: the directory.
      methods: specifications.
      experiment: everything else.
      inputs: where data are.
    """
    inputs = InputConfig() if inputs is None else inputs
    bound = tuple(map(parse_method, methods))
    if len(bound) == 1:
        plan = plan_training(bound[0], experiment, inputs=inputs)
    else:
        plan = plan_comparison(bound, None, experiment, inputs=inputs)
    progress = ProgressReport(Console(file=io.StringIO()))
    with mock.patch.object(run, "train_method", _make_up):
        execute(plan, OutputConfig(str(path)), [], progress)
    return path


def _make_up(task, directory, config, **others):
    """Takes the place of ``train_method``."""
    del others
    numbers = np.random.default_rng(0)
    placement = task.problem.placement

    def make(path, like):
        if not np.issubdtype(like.dtype, np.floating):
            return placement.put(np.zeros(like.shape, like.dtype), placement.seeds)
        drawn = numbers.normal(scale=0.3, size=like.shape).astype(like.dtype)
        # Some are variances.
        positive = "statistics" in jax.tree_util.keystr(path[:1])
        return placement.put(np.abs(drawn) if positive else drawn, placement.seeds)

    state = jax.tree_util.tree_map_with_path(make, abstract_state(task))
    with Checkpoints(directory / "checkpoints", config) as checkpoints:
        checkpoints.save(state, RunProgress(1), 0.5)
    return {"spec": task.method.spec}
