"""What published results are measured in, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from masam_jax.core.specs import unknown
from masam_jax.training.f1_scores import macro_f1, micro_f1, weighted_f1
from masam_jax.training.metric_names import OF_CLASSES

METRICS = tuple(OF_CLASSES)
"""Names that `score` knows."""

# Softmax and sigmoid in low precision may pass 1 by rounding.
_SLACK = 1e-3


def score(name: str, labels: np.ndarray, probabilities: np.ndarray) -> float:
    """One metric of predicted probabilities, in [0, 1]; NaN where it is not defined.

    ``labels [n]`` are classes and a row's prediction is its largest probability (the first on
    ties). ``labels [n, K]`` are zeros and ones, and a prediction is a probability of at least 0.5.

    =====================  =====================================================================
    ``accuracy``           share of right predictions; of ``[n, K]`` the mean of the K labels'
    ``balanced_accuracy``  mean recall of the classes that occur in labels; of ``[n, K]`` that of
                           zeros and ones, mean of the K labels
    ``macro_f1``           mean F1 of the classes that occur in labels or predictions
    ``micro_f1``           F1 with the counts of all classes in one pool
    ``weighted_f1``        mean F1, weighted by how often each class occurs in labels
    ``auroc``              mean area under the ROC curve, one class against the rest, of the
                           classes with both a positive and a negative row
    ``micro_auroc``        the same area with the entries of all classes in one pool
    ``auprc``              mean average precision, one class against the rest, of the classes with
                           a positive row
    ``micro_auprc``        average precision with the entries of all classes in one pool
    ``map``                another name of ``auprc``
    =====================  =====================================================================

    A class is a column of ``probabilities``: of ``labels [n, K]``, one of the K labels. All are
    scikit-learn's: average precision is ``sum_n (R_n - R_{n-1}) P_n``, without interpolation.
    Where a class has no value, scikit-learn warns and counts 0 or NaN; here it is left out.

    Args:
      name: one of `METRICS`.
      labels: integer classes ``[n]`` in ``[0, C)``, or zeros and ones ``[n, K]`` of any real dtype
        (``[n, 1]`` for one binary question).
      probabilities: ``[n, C]`` by softmax, or ``[n, K]`` by sigmoid.

    Raises:
      ValueError: an unknown name, shapes or labels that do not fit, or probabilities that are not
        finite or not in [0, 1].

    Examples:
      >>> import numpy as np
      >>> probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
      >>> round(score("accuracy", np.array([0, 1, 1]), probabilities), 3)
      0.667
      >>> score("auroc", np.array([0, 1, 1]), probabilities)
      1.0
    """
    _check_name(name)
    return _FUNCTIONS[name](*_checked(labels, probabilities))


def accuracy(labels: np.ndarray, predictions: np.ndarray) -> float:
    """The share of right predictions; NaN of none.

    Args:
      labels: integer classes ``[n]``, or zeros and ones ``[n, K]``.
      predictions: likewise.
    """
    right = predictions == labels
    return float(right.mean()) if right.size else float("nan")


def balanced_accuracy(labels: np.ndarray, predictions: np.ndarray) -> float:
    """The mean recall of the classes that occur in labels; NaN of none.

    Args:
      labels: integer classes ``[n]``, or zeros and ones ``[n, K]``, whose K columns' are averaged.
      predictions: likewise.
    """
    if labels.ndim == 2:
        columns = zip(labels.T, predictions.T, strict=True)
        return _mean([balanced_accuracy(*column) for column in columns if len(labels)])
    return _mean([np.mean(predictions[labels == each] == each) for each in np.unique(labels)])


def _accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    return accuracy(labels, _predictions(labels, probabilities))


def _balanced_accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    return balanced_accuracy(labels, _predictions(labels, probabilities))


def _f1(
    average: Callable[[np.ndarray, np.ndarray, int], float],
) -> Callable[[np.ndarray, np.ndarray], float]:
    return lambda labels, probabilities: average(
        labels, _predictions(labels, probabilities), probabilities.shape[1]
    )


def _auroc(labels: np.ndarray, probabilities: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    columns = zip(*_one_against_rest(labels, probabilities), strict=True)
    return _mean([roc_auc_score(t, s) for t, s in columns if t.any() and not t.all()])


def _micro_auroc(labels: np.ndarray, probabilities: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    truth, scores = (array.ravel() for array in _one_against_rest(labels, probabilities))
    mixed = truth.any() and not truth.all()
    return float(roc_auc_score(truth, scores)) if mixed else float("nan")


def _auprc(labels: np.ndarray, probabilities: np.ndarray) -> float:
    from sklearn.metrics import average_precision_score

    columns = zip(*_one_against_rest(labels, probabilities), strict=True)
    return _mean([average_precision_score(t, s) for t, s in columns if t.any()])


def _micro_auprc(labels: np.ndarray, probabilities: np.ndarray) -> float:
    from sklearn.metrics import average_precision_score

    truth, scores = (array.ravel() for array in _one_against_rest(labels, probabilities))
    return float(average_precision_score(truth, scores)) if truth.any() else float("nan")


_FUNCTIONS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "macro_f1": _f1(macro_f1),
    "micro_f1": _f1(micro_f1),
    "weighted_f1": _f1(weighted_f1),
    "auroc": _auroc,
    "micro_auroc": _micro_auroc,
    "auprc": _auprc,
    "micro_auprc": _micro_auprc,
    "map": _auprc,
}


def _mean(values: Sequence[float] | np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _predictions(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    if labels.ndim == 1:
        return np.argmax(probabilities, axis=1)
    return (probabilities >= 0.5).astype(np.int64)


def _one_against_rest(
    labels: np.ndarray, probabilities: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Truth of each class, int ``[C, n]``, and its scores ``[C, n]``."""
    if labels.ndim == 1:
        labels = labels[:, None] == np.arange(probabilities.shape[1])
    return labels.T.astype(np.int64), probabilities.T


def _check_name(name: str) -> None:
    if name not in OF_CLASSES:
        raise ValueError(unknown("metric", name, METRICS))


def _checked(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    labels, probabilities = np.asarray(labels), np.asarray(probabilities).astype(np.float64)
    wanted = labels.shape if labels.ndim == 2 else labels.shape + probabilities.shape[1:2]
    if labels.ndim not in (1, 2) or probabilities.ndim != 2 or probabilities.shape != wanted:
        raise ValueError(
            f"labels have shape {labels.shape} and probabilities {probabilities.shape}; "
            "[n] and [n, C], or [n, K] for both, are needed"
        )
    bad = ~np.isfinite(probabilities)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(
            f"probabilities hold {np.count_nonzero(bad)} non-finite values, the first "
            f"({probabilities[row, column]}) in row {row}, column {column}; none may be"
        )
    low, high = probabilities.min(initial=0.0), probabilities.max(initial=0.0)
    if low < 0 or high > 1 + _SLACK:
        raise ValueError(
            f"probabilities run from {low:g} to {high:g}; they must lie in [0, 1], "
            "after softmax or sigmoid"
        )
    return _checked_labels(labels, probabilities.shape[1]), probabilities


def _checked_labels(labels: np.ndarray, num_classes: int) -> np.ndarray:
    if labels.ndim == 2:
        wrong = np.count_nonzero((labels != 0) & (labels != 1))
        if wrong:
            raise ValueError(f"labels [n, K] hold {wrong} values other than 0 and 1; none may be")
    elif labels.size and not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels have dtype {labels.dtype}; integer classes [n] are needed")
    elif labels.size and not (labels.min() >= 0 and labels.max() < num_classes):
        raise ValueError(
            f"labels run from {labels.min()} to {labels.max()}; with {num_classes} columns of "
            f"probabilities they must lie in 0..{num_classes - 1}"
        )
    return labels.astype(np.int64)
