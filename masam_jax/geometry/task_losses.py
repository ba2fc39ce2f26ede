"""The losses of a method's network as functions of its parameters, as it predicts."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from masam_jax.core.losses import mean_loss, scalar_losses
from masam_jax.core.specs import check_choice, check_sizes
from masam_jax.data.batch import Batch
from masam_jax.data.permutation import seeded_permutation
from masam_jax.methods.objective import unimodal_losses
from masam_jax.training.batches import evaluation_batches, network_inputs, shares_samples
from masam_jax.training.linear_probes import feature_vectors
from masam_jax.training.predictions import Point, batch_axes
from masam_jax.training.task import Task, hits

FUSION, TOTAL = "fusion", "total"

# Which samples are measured on, where not all are.
_SUBSET = 7


class LossInputs(NamedTuple):
    """What a loss knows beside the parameters; of one seed, or of all, ``[S, ...]``.

    Attributes:
      batch: samples as the network sees them.
      statistics: running statistics ``{m: …}`` of the encoders.
      method_state: what the method's objective keeps.
      class_weights: of the classes in the losses, float32[C]; None for equal ones.
    """

    batch: Batch
    statistics: Any
    method_state: Any
    class_weights: jax.Array | None


LossOfBatch = Callable[[Any, LossInputs], jax.Array]


class TaskLosses:
    """Losses of what a method's network predicts: without dropout, with running statistics.

    They are the same for every method, whatever it minimises: the error of the fused prediction,
    and of every modality's own head.
    """

    def __init__(self, task: Task) -> None:
        """Of one method on one problem."""
        self._task = task
        self._functions: dict[str, LossOfBatch] = {}

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, sorted."""
        return self._task.network.modalities

    def labels(self, params: Any) -> Any:
        """Partition labels: a modality's name at its encoder, ``"other"`` everywhere else."""
        return self._task.network.labels(params)

    def loss(self, which: str = FUSION) -> LossOfBatch:
        """``(params, LossInputs) -> scalar``, of one seed; the same function at every call.

        Args:
          which: ``"fusion"``, the loss of the prediction; a modality's name, the loss of its own
            head over the samples that have it; ``"total"``, fusion and λ times all of these, with
            the method's λ.

        Raises:
          ValueError: no such loss.
        """
        check_choice("which", which, (FUSION, TOTAL, *self.modalities))
        return self._function(which, functools.partial(self._loss, which))

    @property
    def accuracy(self) -> LossOfBatch:
        """``(params, LossInputs) -> share of the samples that the prediction gets right``.

        Of several labels, the share of these.

        Raises:
          ValueError: the data are for regression.
        """
        if self._task.network.is_regression:
            raise ValueError("accuracy needs classes; these data are for regression")
        return self._function("accuracy", self._accuracy)

    def features(self, modality: str) -> LossOfBatch:
        """``(params, LossInputs) -> [B, H]``, a modality's features; of tokens, their mean.

        Raises:
          ValueError: no such modality.
        """
        check_choice("modality", modality, self.modalities)
        return self._function(f"features {modality}", functools.partial(self._features, modality))

    def inputs(
        self,
        point: Point,
        split: str = "train",
        *,
        samples: int | None = None,
        batch_size: int = 256,
    ) -> list[LossInputs]:
        """Samples of a split in batches of one size, ``[S, ...]``, on the devices.

        With ``split="train"``, labels, class weights, missing modalities and input noise are as in
        training (the noise always the same), but samples are not augmented.

        Args:
          point: whose running statistics and state predict.
          split: ``train``, ``validation`` or ``test``.
          samples: how many, drawn once and for all; None for all.
          batch_size: at most so many in a batch. The batches are as few as that allows, all of one
            size; what is left over, fewer samples than there are batches, is left out.

        Raises:
          ValueError: another split, or fewer samples than asked for.
        """
        check_choice("split", split, ("train", "validation", "test"))
        check_sizes(batch_size=batch_size, **({} if samples is None else {"samples": samples}))
        problem = self._task.problem
        rows = problem.indices(split)
        there = rows.shape[1]
        if samples is not None and samples > there:
            raise ValueError(f"samples={samples}: there are {there} {split} samples")
        chosen = np.sort(seeded_permutation(there, _SUBSET)[:samples])
        count = -(-len(chosen) // batch_size)
        size = len(chosen) // count
        rows = rows[:, chosen[: count * size]]
        part = "train" if split == "train" else "test"
        weights = problem.class_weights if part == "train" else None
        see = self._seeing(part, shares_samples(problem, rows))
        return [
            LossInputs(see(batch), point.statistics, point.method_state, weights)
            for batch, _ in evaluation_batches(problem, rows, part, size)
        ]

    def _function(self, name: str, function: LossOfBatch) -> LossOfBatch:
        return self._functions.setdefault(name, function)

    def _seeing(self, part: str, shared: bool) -> Callable[[Batch], Batch]:
        """From a batch of rows ``[S, B]`` to the same as the network sees it."""
        problem = self._task.problem
        config = problem.experiment.corruption

        def one(scales: Any, batch: Batch, resident: Any) -> Batch:
            key = jnp.zeros(2, jnp.uint32)
            return network_inputs(config, part, resident, scales, batch, key)

        see = jax.jit(jax.vmap(one, in_axes=(0, batch_axes(shared), None)))
        return lambda batch: see(problem.statistics, batch, problem.resident)

    def _predicted(self, params: Any, inputs: LossInputs) -> tuple[jax.Array, dict[str, Any]]:
        return self._task.predict(
            params, inputs.statistics, inputs.method_state, inputs.batch.inputs
        )

    def _loss(self, which: str, params: Any, inputs: LossInputs) -> jax.Array:
        network = self._task.network
        logits, unimodal = self._predicted(params, inputs)
        _, present, labels, _ = inputs.batch
        weights = None if inputs.class_weights is None else inputs.class_weights[labels]
        fusion, own = scalar_losses(
            mean_loss(network.sample_loss, logits, labels, weights=weights),
            unimodal_losses(network, unimodal, labels, present or None, weights),
        )
        if which == FUSION:
            return fusion
        if which == TOTAL:
            return fusion + self._task.method.loss_weight * sum(own.values())
        return own[which]

    def _accuracy(self, params: Any, inputs: LossInputs) -> jax.Array:
        logits, _ = self._predicted(params, inputs)
        return jnp.mean(hits(logits, inputs.batch.labels))

    def _features(self, modality: str, params: Any, inputs: LossInputs) -> jax.Array:
        network = self._task.network.with_statistics(inputs.statistics)
        return feature_vectors(network.encode(params, modality, inputs.batch.inputs[modality]))
