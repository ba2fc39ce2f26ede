"""What a schedule may measure and try between two steps, without touching the run's own state."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from masam_jax.losses import cross_entropy
from masam_jax.training.problem import gather
from masam_jax.training.seeds import SeedStep
from masam_jax.training.state import TrainState
from masam_jax.training.task import Task


class TrainingProbe:
    """A `masam_jax.methods.Probe` of a run, for all seeds at once."""

    def __init__(self, task: Task, seed_step: SeedStep) -> None:
        """Of one run.

        Args:
          task: the method and its problem.
          seed_step: the run's own step, used for trials as well.
        """
        self._task = task
        self._seed_step = seed_step
        placement = task.problem.placement
        self._rows = {
            name: placement.put(rows, placement.seeds) for name, rows in task.training_rows.items()
        }
        mapped = jax.vmap(self._plain_losses, in_axes=(0, 0, 0, None))
        self._losses = jax.jit(mapped, out_shardings=placement.seeds)
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
        """``{"fusion": [S], m: [S]}``, cross-entropy on ``"fit"`` or ``"held_out"`` samples."""
        problem = self._task.problem
        return self._losses(params, problem.statistics, self._rows[split], problem.rows)

    def train(self, params: Any, opt_state: Any, state: Any, steps: int) -> tuple[Any, Any]:
        """``(params, opt_state)`` after ``steps`` steps from here with that objective's state."""
        if self._state is None:
            raise RuntimeError("the probe has not been placed: call at() first")
        placement = self._task.problem.placement
        # The step donates what it is given, and these belong to the run.
        params, opt_state = jax.tree.map(jnp.copy, (params, opt_state))
        trial = self._state._replace(params=params, opt_state=opt_state)
        for step in range(self._step, self._step + steps):
            indices = placement.put(self._task.batches[step], placement.indices)
            # The state belongs to the schedule here, and does not move by itself.
            trial, _ = self._seed_step(trial._replace(method_state=state), indices)
            self.trial_steps += 1
        return trial.params, trial.opt_state

    def _plain_losses(self, params: Any, statistics: Any, indices: jax.Array, rows: Any) -> Any:
        network = self._task.network
        inputs, labels = gather(rows, statistics, indices)
        logits, unimodal = network.apply(params, inputs)
        losses = {m: cross_entropy(z, labels) for m, z in unimodal.items()}
        return {"fusion": cross_entropy(logits, labels), **losses}
