"""What a schedule may measure and try between two steps, without touching the run's own state."""

from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from masam_jax.data.batch import Batch
from masam_jax.training.batches import network_inputs, shares_samples
from masam_jax.training.predictions import batch_axes, in_parts
from masam_jax.training.seed_step import SeedStep
from masam_jax.training.state import TrainState
from masam_jax.training.task import Task


class TrainingProbe:
    """A `masam_jax.methods.Probe` of a run, for all seeds at once."""

    def __init__(self, task: Task, seed_step: SeedStep, size: int | None = None) -> None:
        """Of one run.

        Args:
          task: the method and its problem.
          seed_step: the run's own step, used for trials as well.
          size: of its stretches, as `TrainingBatches.stretches` takes it.
        """
        self._task = task
        self._size = size
        self._seed_step = seed_step
        self._losses: dict[bool, Callable[..., Any]] = {}
        self._state: TrainState | None = None
        self._step = 0
        self.trial_steps = 0

    def at(self, state: TrainState, step: int) -> "TrainingProbe":
        """The probe before that step of the run."""
        self._state, self._step = state, step
        return self

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, sorted."""
        return self._task.problem.modalities

    def losses(self, params: Any, split: str) -> Mapping[str, jax.Array]:
        """``{"fusion": [S], m: [S]}``, the network's loss on ``"fit"`` or ``"held_out"`` samples.

        With the running statistics of the state that the probe was placed at.
        """
        problem, rows = self._task.problem, self._task.training_rows[split]
        shared = shares_samples(problem, rows)
        if shared not in self._losses:
            mapped = jax.vmap(self._sample_losses, in_axes=(0, 0, 0, batch_axes(shared), None))
            self._losses[shared] = jax.jit(mapped, out_shardings=problem.placement.seeds)
        statistics = self._placed.statistics

        def run(batch: Batch) -> Any:
            return self._losses[shared](
                params, statistics, problem.statistics, batch, problem.resident
            )

        means = {k: _mean(each) for k, each in in_parts(problem, run, rows, "train").items()}
        return problem.placement.put(means, problem.placement.seeds)

    def train(self, params: Any, opt_state: Any, state: Any, steps: int) -> tuple[Any, Any]:
        """``(params, opt_state)`` after ``steps`` steps from here with that objective's state."""
        # The step donates what it is given, and these belong to the run.
        params, opt_state, statistics, average = jax.tree.map(
            jnp.copy, (params, opt_state, self._placed.statistics, self._placed.average)
        )
        trial = self._placed._replace(
            params=params, opt_state=opt_state, statistics=statistics, average=average
        )
        # The state belongs to the schedule here, and does not move by itself: step by step.
        singly = self._task.batches.stretches(self._step, [1] * steps, self._size)
        with closing(singly):
            for stretch in singly:
                trial, _ = self._seed_step.stretch(trial._replace(method_state=state), stretch)
                self.trial_steps += 1
        return trial.params, trial.opt_state

    @property
    def _placed(self) -> TrainState:
        if self._state is None:
            raise RuntimeError("the probe has not been placed: call at() first")
        return self._state

    def _sample_losses(
        self, params: Any, statistics: Any, scales: Any, batch: Batch, resident: Any
    ) -> Any:
        config = self._task.problem.experiment.corruption
        key = jnp.zeros(2, jnp.uint32)  # Noise, where it is asked for, is that of evaluation.
        inputs, present, labels, _ = network_inputs(config, "test", resident, scales, batch, key)
        network = self._task.network.with_statistics(statistics)
        logits, unimodal = network.apply(params, inputs)
        losses = {m: network.sample_loss(z, labels) for m, z in unimodal.items()}
        losses["fusion"] = network.sample_loss(logits, labels)
        everywhere = jnp.ones(len(labels), jnp.bool_)
        return {k: _Counted(loss, present.get(k, everywhere)) for k, loss in losses.items()}


class _Counted(NamedTuple):
    """Losses ``[S, n]``, and which of them count."""

    losses: Any
    counts: Any


def _mean(each: _Counted) -> np.ndarray:
    """``[S]``; 0 over no sample."""
    total = np.where(each.counts, each.losses, 0).sum(axis=1)
    return total / np.maximum(each.counts.sum(axis=1), 1).astype(total.dtype)
