"""F1 scores of predicted classes, averaged in three ways.

The F1 score of a class, or of one of K labels, is ``2 TP / (2 TP + FP + FN)``; it has none where it
occurs neither in labels nor in predictions. Labels and predictions are integer classes ``[n]``, or
zeros and ones ``[n, K]``; ``num_classes`` is C, or K. A mean over nothing is NaN.
"""

import numpy as np


def macro_f1(labels: np.ndarray, predictions: np.ndarray, num_classes: int) -> float:
    """The unweighted mean over the classes that have one."""
    hits, either, _ = _counts(labels, predictions, num_classes)
    there = either > 0
    return float(np.mean(2 * hits[there] / either[there])) if there.any() else float("nan")


def micro_f1(labels: np.ndarray, predictions: np.ndarray, num_classes: int) -> float:
    """That of all classes' counts added up; of one class for each row it is the accuracy."""
    hits, either, _ = _counts(labels, predictions, num_classes)
    return float(2 * hits.sum() / either.sum()) if either.any() else float("nan")


def weighted_f1(labels: np.ndarray, predictions: np.ndarray, num_classes: int) -> float:
    """The mean over classes, weighted by how often each occurs in the labels."""
    hits, either, support = _counts(labels, predictions, num_classes)
    there = support > 0
    if not there.any():
        return float("nan")
    return float(np.average(2 * hits[there] / either[there], weights=support[there]))


def _counts(
    labels: np.ndarray, predictions: np.ndarray, num_classes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """TP, 2 TP + FP + FN and TP + FN of every class, ``[C]``."""
    if labels.ndim == 1:
        labels, predictions = (x[:, None] == np.arange(num_classes) for x in (labels, predictions))
    truth, found = labels.astype(np.int64), predictions.astype(np.int64)
    return (truth * found).sum(axis=0), (truth + found).sum(axis=0), truth.sum(axis=0)
