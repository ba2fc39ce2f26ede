"""Predictions of all seeds on a split, and what is measured on them."""

import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from masam_jax.data.batch import Batch
from masam_jax.training.batches import evaluation_batches, network_inputs, shares_samples
from masam_jax.training.classification_metrics import accuracy, balanced_accuracy, score
from masam_jax.training.estimates import Estimates, measure_estimates
from masam_jax.training.f1_scores import macro_f1, micro_f1, weighted_f1
from masam_jax.training.problem import Problem
from masam_jax.training.task import Task


class Predictions(NamedTuple):
    """What each seed's network says of each row, NumPy arrays.

    Attributes:
      labels: int32 ``[S, n]``, the true classes, or zeros and ones ``[S, n, K]``.
      probabilities: float32 ``[S, n, C]``, softmax of the fusion logits; sigmoid of K labels.
      loss: float32[S, n], cross-entropy of the fusion logits.
      unimodal: ``{m: float32 [S, n, C]}``, likewise by each modality's own head.
    """

    labels: Any
    probabilities: Any
    loss: Any
    unimodal: dict[str, Any]

    @property
    def fused(self) -> np.ndarray:
        """int32 ``[S, n]``, classes by the fusion logits, or zeros and ones ``[S, n, K]``."""
        return self.decide(self.probabilities)

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """The likeliest class of each row, or the labels that are likelier than not."""
        if self.labels.ndim == probabilities.ndim:
            return (probabilities >= 0.5).astype(np.int32)
        return np.argmax(probabilities, axis=-1).astype(np.int32)


class Point(NamedTuple):
    """The parameters that predict, with a leading axis of seeds.

    Attributes:
      params: parameters.
      statistics: running statistics of the encoders.
      method_state: what the objective keeps.
    """

    params: Any
    statistics: Any
    method_state: Any


Predict = Callable[[Point, np.ndarray], Predictions | Estimates]


class Predictors:
    """Compiled predictions, one program for all tasks that predict in the same way."""

    def __init__(self, problem: Problem) -> None:
        """Of a problem's network."""
        self._problem = problem
        self._functions: dict[Any, Callable[..., Any]] = {}

    def of(self, task: Task) -> Predict:
        """A function ``(point, row indices [S, n]) -> Predictions``; of regression, `Estimates`.

        Args:
          task: its parameters and state have a leading axis of seeds.
        """
        plain = task.objective.predictor is None

        def predict(point: Point, indices: np.ndarray) -> Predictions | Estimates:
            if plain:
                # Programs are shared by those who differ in what a prediction does not read.
                params = {k: v for k, v in point.params.items() if k != "method"}
                point = point._replace(params=params, method_state=())
            shared = shares_samples(self._problem, indices)
            key = (task.fusion, task.objective.predictor, shared)
            if key not in self._functions:
                self._functions[key] = _compile(task, shared)
            function = self._functions[key]

            def run(batch: Batch) -> Any:
                return function(point, self._problem.statistics, batch, self._problem.resident)

            found = in_parts(self._problem, run, indices)
            scale = self._problem.targets
            if scale is None:
                return found
            return Estimates(
                labels=self._problem.data.labels[indices],
                values=scale.in_units(found.probabilities),
                loss=found.loss,
                unimodal={m: scale.in_units(values) for m, values in found.unimodal.items()},
            )

        return predict


def in_parts(
    problem: Problem,
    function: Callable[[Batch], Any],
    indices: np.ndarray,
    part: Literal["train", "test"] = "test",
) -> Any:
    """``function`` of row indices ``[S, n]``, a part of the rows at a time.

    Args:
      problem: says where arrays live.
      function: from a batch of `evaluation_batches` to a tree of arrays ``[S, k, ...]``.
      indices: the rows.
      part: whose labels and missing modalities they have.

    Returns:
      A tree of NumPy arrays ``[S, n, ...]``.
    """
    parts = []
    for batch, count in evaluation_batches(problem, indices, part):
        found = problem.placement.fetch(function(batch))
        parts.append(jax.tree.map(lambda x, n=count: x[:, :n], found))
    return jax.tree.map(lambda *arrays: np.concatenate(arrays, axis=1), *parts)


def batch_axes(shared: bool) -> Batch:
    """The axes of seeds of an evaluation batch, for ``vmap``."""
    return Batch(inputs=None if shared else 0, present=0, labels=0, rows=0)


def _compile(task: Task, shared: bool) -> Callable[..., Any]:
    config = task.problem.experiment.corruption
    scale = scale_of(task.problem.data.multi_label, task.problem.data.is_regression)

    def one(point: Point, scales: Any, batch: Batch, resident: Any) -> Predictions:
        key = jnp.zeros(2, jnp.uint32)  # Noise at test time belongs to the row, not to a step.
        seen = network_inputs(config, "test", resident, scales, batch, key)
        logits, unimodal = task.predict(*point, seen.inputs)
        return Predictions(
            labels=seen.labels,
            probabilities=scale(logits.astype(jnp.float32)),
            loss=task.network.sample_loss(logits, seen.labels),
            unimodal={m: scale(z.astype(jnp.float32)) for m, z in unimodal.items()},
        )

    mapped = jax.vmap(one, in_axes=(0, 0, batch_axes(shared), None))
    return jax.jit(mapped, out_shardings=task.problem.placement.seeds)


def scale_of(multi_label: bool, is_regression: bool) -> Callable[[jax.Array], jax.Array]:
    """What makes probabilities of logits; nothing of estimates."""
    if is_regression:
        return lambda estimates: estimates
    return jax.nn.sigmoid if multi_label else jax.nn.softmax


def measure(
    predictions: Predictions | Estimates, num_classes: int, metric: str = "accuracy"
) -> dict[str, Any]:
    """Metrics of each seed; of `Estimates`, what `measure_estimates` returns.

    Args:
      predictions: of a split.
      num_classes: C, or K.
      metric: the data set's own, a name of ``masam_jax.training.classification_metrics``.

    Returns:
      ``{"accuracy": [S], "balanced_accuracy": [S], "macro_f1": [S], "micro_f1": [S],
      "weighted_f1": [S], "fusion_loss": [S], "unimodal_accuracy": {m: [S]}}``, float64; the loss in
      nats, averaged over rows. With another metric than accuracy, that one and its ``unimodal_``
      counterpart as well.
    """
    if isinstance(predictions, Estimates):
        return measure_estimates(predictions)
    labels, fused = predictions.labels, predictions.fused
    measured = {
        "accuracy": _each_seed(accuracy, labels, fused),
        "balanced_accuracy": _each_seed(balanced_accuracy, labels, fused),
        **{
            average.__name__: _each_seed(
                functools.partial(average, num_classes=num_classes), labels, fused
            )
            for average in (macro_f1, micro_f1, weighted_f1)
        },
        "fusion_loss": np.mean(predictions.loss.astype(np.float64), axis=1),
        "unimodal_accuracy": {
            m: _each_seed(accuracy, labels, predictions.decide(p))
            for m, p in predictions.unimodal.items()
        },
    }
    if metric != "accuracy":
        of_metric = functools.partial(score, metric)
        measured[metric] = _each_seed(of_metric, labels, predictions.probabilities)
        measured[f"unimodal_{metric}"] = {
            m: _each_seed(of_metric, labels, p) for m, p in predictions.unimodal.items()
        }
    return measured


def _each_seed(
    function: Callable[[np.ndarray, np.ndarray], float], labels: np.ndarray, found: np.ndarray
) -> np.ndarray:
    return np.array([function(truth, each) for truth, each in zip(labels, found, strict=True)])
