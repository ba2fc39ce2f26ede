"""What ``masam train --measure`` measures: the flatness of every encoder, of all seeds at once."""

from __future__ import annotations

import math
from typing import Any

import jax
import numpy as np

from masam_jax.core.partition import resolve_partition
from masam_jax.core.random_keys import fold_raw, seed_key
from masam_jax.geometry.all_seeds import increases, losses, norms, trace_samples
from masam_jax.geometry.derivatives import Positions
from masam_jax.geometry.task_losses import LossInputs, TaskLosses
from masam_jax.training import key_streams
from masam_jax.training.predictions import Point
from masam_jax.training.task import Task

SAMPLES = 32
"""Random vectors of the trace; the standard error that they leave is logged beside it."""
RADIUS = 0.05
"""Of SAM's step that measures sharpness, as a share of the norm of the encoder's parameters."""

# Training samples in one program.
_BATCH = 256


class FlatnessAlongTraining:
    """A `masam_jax.training.measurement.Measurement` of the fusion loss, encoder by encoder.

    The samples, and the random vectors of a seed, are the same at every step, so that what changes
    from one measurement to the next is the network.
    """

    def __init__(self, task: Task) -> None:
        """Of one method; ``evaluation`` of its configuration says what, and on how many samples."""
        evaluation = task.problem.experiment.evaluation
        self._problem = task.problem
        self._asked = evaluation.measures
        self._losses = TaskLosses(task)
        self._samples = min(evaluation.measure_samples, task.problem.indices("train").shape[1])
        self._batches: list[LossInputs] = []
        keys = [
            np.asarray(fold_raw(seed_key(seed), key_streams.MEASUREMENT))
            for seed in task.problem.experiment.seeds.values
        ]
        self._keys = task.problem.placement.put(np.stack(keys), task.problem.placement.seeds)

    def __call__(self, point: Point) -> dict[str, Any]:
        """Numbers by name.

        Args:
          point: parameters ``[S, ...]``.

        Returns:
          ``"loss"``, float64 ``[S]``, and of every encoder ``{modality: [S]}``: ``"norm"``, and
          what was asked for; beside ``"trace"`` its ``"trace_error"``, one standard error. NaN of
          a seed whose loss is not finite.
        """
        loss_fn, params = self._losses.loss(), point.params
        batches = self._inputs(point)
        found: dict[str, Any] = {"loss": losses(loss_fn, params, batches)}
        for m, positions in self._positions(params).items():
            own = {"norm": norms(params, positions)}
            if {"trace", "relative_flatness"} & set(self._asked):
                own["forms"] = trace_samples(
                    loss_fn, params, batches, positions, self._keys, samples=SAMPLES
                )
            if "sharpness" in self._asked:
                own["sharpness"] = increases(loss_fn, params, batches, positions, radius=RADIUS)
            for name, values in own.items():
                found.setdefault(name, {})[m] = values
        return self._as_asked(self._problem.placement.fetch(found))

    def _inputs(self, point: Point) -> list[LossInputs]:
        if not self._batches:
            self._batches = self._losses.inputs(point, samples=self._samples, batch_size=_BATCH)
        return [
            batch._replace(statistics=point.statistics, method_state=point.method_state)
            for batch in self._batches
        ]

    def _positions(self, params: Any) -> dict[str, Positions]:
        one = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), params)
        partition = resolve_partition(self._losses.labels, one)
        return {m: partition.positions(m) for m in partition.modalities}

    def _as_asked(self, found: dict[str, Any]) -> dict[str, Any]:
        # A diverged network has no geometry, whatever zeros its dead units have for gradients.
        finite = np.isfinite(found["loss"])
        found = jax.tree.map(lambda x: np.where(finite, x.astype(np.float64), np.nan), found)
        forms = found.pop("forms", {})
        traces = {m: values.mean(axis=0) for m, values in forms.items()}
        if "trace" in self._asked:
            found["trace"] = traces
            found["trace_error"] = {
                m: values.std(axis=0, ddof=1) / math.sqrt(len(values))
                for m, values in forms.items()
            }
        if "relative_flatness" in self._asked:
            found["relative_flatness"] = {m: traces[m] * found["norm"][m] ** 2 for m in traces}
        return found
