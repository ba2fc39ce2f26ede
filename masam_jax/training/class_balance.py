"""Classes that some data have more of than others: their weights in the losses, their turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import grain
import numpy as np

from masam_jax.config import Experiment, OptimizationConfig
from masam_jax.core.specs import unknown
from masam_jax.data import index_batches
from masam_jax.data.balanced_order import balanced_batches
from masam_jax.data.on_disk import Data


def class_weights(
    asked: Literal["balanced"] | Mapping[str, float], labels: np.ndarray, class_names: Sequence[str]
) -> np.ndarray:
    """Weights of the classes for every seed, float32 ``[S, C]``.

    Args:
      asked: "balanced", ``n / (C n_c)`` where ``n_c`` of a seed's n training samples are of class
        c, as scikit-learn has it, and 0 for a class without any; or weights by name, 1 where one is
        not named.
      labels: int ``[S, n]``, the classes of each seed's training samples.
      class_names: names of the C classes.

    Raises:
      ValueError: a class that the data do not have.
    """
    count = len(class_names)
    if isinstance(asked, str):
        counts = (labels[..., None] == np.arange(count)).sum(axis=1)
        found = labels.shape[1] / (count * np.maximum(counts, 1)) * (counts > 0)
        return found.astype(np.float32)
    weights = np.ones((len(labels), count), np.float32)
    for name, weight in asked.items():
        if name not in class_names:
            raise ValueError(f"class_weights: {unknown('class', name, class_names)}")
        weights[:, list(class_names).index(name)] = weight
    return weights


def training_order(
    experiment: Experiment, train_labels: np.ndarray, rows: np.ndarray, batch_size: int
) -> grain.MapDataset:
    """Element t holds the row indices of step t, int32 ``[S, B]``, as the sampler has them.

    Args:
      experiment: its sampler and seeds.
      train_labels: int32 ``[S, N]`` or ``[S, N, K]``, of all rows.
      rows: int ``[S, n]``, those that are trained on.
      batch_size: B.

    Raises:
      ValueError: the batch is larger than n.
    """
    seeds = experiment.seeds.values
    uniform = index_batches(rows, batch_size=batch_size, seeds=seeds)
    if experiment.optimization.sampler == "uniform":
        return uniform
    labels = np.take_along_axis(train_labels, rows, axis=1)
    return balanced_batches(rows, labels, batch_size=batch_size, seeds=seeds)


def check_classes(config: OptimizationConfig, data: Data) -> None:
    """Raises ``ValueError`` for settings of classes where there are none, or of targets."""
    if not data.is_regression and config.regression_loss != "squared":
        raise ValueError(
            f"regression_loss={config.regression_loss} is for regression; these data have"
            f" {data.num_classes} {'labels' if data.multi_label else 'classes'}"
        )
    asked = "sampler" if config.sampler != "uniform" else "class_weights"
    if data.is_regression and (config.class_weights or config.sampler != "uniform"):
        raise ValueError(f"{asked} needs classes; these data are for regression")
    if data.multi_label and (config.class_weights or config.sampler != "uniform"):
        raise ValueError(
            f"{asked} needs one class for each sample; these data have {data.num_classes} labels,"
            " each zero or one"
        )
