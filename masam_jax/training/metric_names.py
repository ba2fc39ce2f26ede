"""What metrics are called where people read them."""

from masam_jax.core.specs import unknown

OF_CLASSES = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro-F1",
    "micro_f1": "Micro-F1",
    "weighted_f1": "Weighted F1",
    "auroc": "AUROC (macro)",
    "micro_auroc": "AUROC (micro)",
    "auprc": "AUPRC (macro)",
    "micro_auprc": "AUPRC (micro)",
    "map": "mAP",
}
"""Metric of classes or labels -> its name in a table."""
OF_TARGETS = {"r2": "R²", "mae": "MAE", "rmse": "RMSE"}
"""Metric of regression -> its name in a table; MAE and RMSE are in the targets' own units."""
_TITLES = OF_CLASSES | OF_TARGETS


def title(name: str) -> str:
    """A metric's name in a table.

    Raises:
      ValueError: an unknown name.
    """
    if name not in _TITLES:
        raise ValueError(unknown("metric", name, tuple(_TITLES)))
    return _TITLES[name]


def phrase(name: str) -> str:
    """A metric's name within a sentence.

    Raises:
      ValueError: an unknown name.

    Examples:
      >>> phrase("accuracy"), phrase("auprc"), phrase("map"), phrase("r2")
      ('accuracy', 'AUPRC (macro)', 'mAP', 'R²')
    """
    words = title(name)
    return words[0].lower() + words[1:] if words[1:2].islower() else words
