"""Predictions of all seeds on a split, and what is measured on them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from masam_jax.training.problem import Problem, gather
from masam_jax.training.task import Task

# Rows that one compiled call predicts for every seed; bounds memory on large splits.
_CHUNK = 1024


class Predictions(NamedTuple):
    """What each seed's network says of each row, NumPy arrays.

    Attributes:
      labels: int32[S, n], the true classes.
      fused: int32[S, n], classes by the fusion logits.
      confidence: float32[S, n], softmax probability of ``fused``.
      loss: float32[S, n], cross-entropy of the fusion logits.
      unimodal: ``{m: int32[S, n]}``, classes by each modality's own head.
    """

    labels: Any
    fused: Any
    confidence: Any
    loss: Any
    unimodal: dict[str, Any]


Predict = Callable[[Any, Any, np.ndarray], Predictions]


class Predictors:
    """Compiled predictions, one program for all tasks that predict in the same way."""

    def __init__(self, problem: Problem, statistics: Any = None) -> None:
        """Of a problem's network.

        Args:
          problem: network, data and placement.
          statistics: ``{m: (mean, std)}`` with a leading axis of seeds; the problem's by default.
        """
        self._problem = problem
        self._statistics = problem.statistics if statistics is None else statistics
        self._functions: dict[Any, Callable[..., Any]] = {}

    def of(self, task: Task) -> Predict:
        """A function ``(params, method_state, row indices [S, n]) -> Predictions``.

        Args:
          task: its parameters and state have a leading axis of seeds.
        """
        key = (task.fusion, task.objective.predictor)
        if key not in self._functions:
            self._functions[key] = _compile(task)
        function = self._functions[key]
        plain = task.objective.predictor is None

        def predict(params: Any, state: Any, indices: np.ndarray) -> Predictions:
            if plain:
                # Programs are shared by those who differ in what a prediction does not read.
                params, state = {k: v for k, v in params.items() if k != "method"}, ()

            def run(placed: jax.Array) -> Any:
                return function(params, state, self._statistics, placed, self._problem.rows)

            return in_chunks(self._problem, run, indices)

        return predict


def in_chunks(problem: Problem, function: Callable[[jax.Array], Any], indices: np.ndarray) -> Any:
    """``function`` of row indices ``[S, n]``, a part of the rows at a time.

    Args:
      problem: says where arrays live.
      function: from placed indices ``[S, k]`` to a tree of arrays ``[S, k, ...]``.
      indices: the rows.

    Returns:
      A tree of NumPy arrays ``[S, n, ...]``.
    """
    placement = problem.placement
    count = indices.shape[1]
    size = min(count, _CHUNK)
    parts = []
    for start in range(0, count, size):
        chunk = indices[:, start : start + size]
        # The last chunk is filled up, so that it has the shape that was compiled.
        padded = np.pad(chunk, ((0, 0), (0, size - chunk.shape[1])), mode="edge")
        found = placement.fetch(function(placement.put(padded, placement.seeds)))
        parts.append(jax.tree.map(lambda x, n=chunk.shape[1]: x[:, :n], found))
    return jax.tree.map(lambda *arrays: np.concatenate(arrays, axis=1), *parts)


def _compile(task: Task) -> Callable[..., Any]:
    def one(params: Any, state: Any, stats: Any, indices: jax.Array, rows: Any) -> Predictions:
        inputs, labels = gather(rows, stats, indices)
        logits, unimodal = task.predict(params, state, inputs)
        return Predictions(
            labels=labels,
            fused=jnp.argmax(logits, axis=-1).astype(jnp.int32),
            confidence=jnp.max(jax.nn.softmax(logits), axis=-1),
            loss=optax.losses.softmax_cross_entropy_with_integer_labels(logits, labels),
            unimodal={m: jnp.argmax(z, axis=-1).astype(jnp.int32) for m, z in unimodal.items()},
        )

    mapped = jax.vmap(one, in_axes=(0, 0, 0, 0, None))
    return jax.jit(mapped, out_shardings=task.problem.placement.seeds)


def measure(predictions: Predictions, num_classes: int) -> dict[str, Any]:
    """Metrics of each seed.

    Returns:
      ``{"accuracy": [S], "macro_f1": [S], "fusion_loss": [S], "unimodal_accuracy": {m: [S]}}``,
      float64; the loss in nats, averaged over rows.
    """
    labels = predictions.labels
    return {
        "accuracy": np.mean(predictions.fused == labels, axis=1),
        "macro_f1": np.array(
            [
                macro_f1(truth, found, num_classes)
                for truth, found in zip(labels, predictions.fused, strict=True)
            ]
        ),
        "fusion_loss": np.mean(predictions.loss.astype(np.float64), axis=1),
        "unimodal_accuracy": {
            m: np.mean(found == labels, axis=1) for m, found in predictions.unimodal.items()
        },
    }


def macro_f1(labels: np.ndarray, predictions: np.ndarray, num_classes: int) -> float:
    """Unweighted mean of the F1 scores of all classes that occur in either array.

    Args:
      labels: integer classes ``[n]``.
      predictions: integer classes ``[n]``.
      num_classes: C.
    """
    true_count = np.bincount(labels, minlength=num_classes)
    found_count = np.bincount(predictions, minlength=num_classes)
    hits = np.bincount(labels[labels == predictions], minlength=num_classes)
    occurs = true_count + found_count > 0
    return float(np.mean(2 * hits[occurs] / (true_count + found_count)[occurs]))
