"""What a run is judged by: the metric that its data set's results are published in."""

from collections.abc import Mapping
from typing import Any

from masam_jax.training.metric_names import OF_TARGETS, title


def primary_metric(results: Mapping[str, Any]) -> str:
    """The name of the metric, "accuracy" where none was recorded.

    Args:
      results: the content of ``results.json`` or of ``result.json``.

    Raises:
      ValueError: if it is no name of ``masam_jax.training.classification_metrics``.
    """
    name = results.get("metric", "accuracy")
    title(name)
    return str(name)


def primary_scores(result: Mapping[str, Any], split: str, metric: str) -> list[float | None]:
    """One method's scores, fractions, one per seed; ``None`` where a seed diverged.

    Args:
      result: the method's, with metrics on the split.
      split: "test" or "validation".
      metric: from `primary_metric`.

    Raises:
      ValueError: if the metric was not recorded.
    """
    metrics = result[split]
    if metric not in metrics:
        raise ValueError(
            f"{result['spec']!r} has no {metric!r} on the {split} split; it has {sorted(metrics)}"
        )
    return list(metrics[metric])


def unimodal_key(metric: str) -> str:
    """Where a split's metrics hold the scores of each modality's own head."""
    return f"unimodal_{metric}"


def is_regression(metric: str) -> bool:
    """Whether it is a metric of targets, not of classes; R² is shown in percent as well."""
    return metric in OF_TARGETS


def probe_metric(metric: str) -> str:
    """What linear probes are measured in beside that metric: accuracy, or of targets R²."""
    return "r2" if is_regression(metric) else "accuracy"
