"""Result tables, made from what the methods recorded."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from masam_jax.analysis.paired_evidence import paired_evidence
from masam_jax.analysis.primary_metric import (
    primary_metric,
    primary_scores,
    probe_metric,
    unimodal_key,
)
from masam_jax.analysis.records import reported_split
from masam_jax.analysis.rows import Row, UnimodalRow
from masam_jax.analysis.statistics import Summary, holm, paired_test, summarize


def comparison_table(results: dict[str, Any]) -> list[Row]:
    """The main table: every method of ``results.json``, in its order, against the baseline.

    Args:
      results: the content of ``results.json``, or of ``result.json`` (one method, no baseline).

    Returns:
      One row per method.

    Raises:
      ValueError: if the baseline is missing, a method has other seeds than the baseline, the
          methods were not evaluated on the same split, or one lacks the metric of the results.
    """
    methods = _methods(results)
    baseline = next((m for m in methods if m["spec"] == results.get("baseline")), None)
    if baseline is None and len(methods) > 1:
        raise ValueError(
            f"baseline {results.get('baseline')!r} is not among the methods "
            f"{[method['spec'] for method in methods]}"
        )
    split, metric = reported_split(methods), primary_metric(results)
    best = _best_specs(methods, split, metric)
    if len(methods) == 1:
        baseline = None
    reference = cost_reference(results) if len(methods) > 1 else {}
    return _corrected(
        [
            _row(method, baseline, reference, split, metric, method["spec"] in best)
            for method in methods
        ]
    )


def unimodal_table(results: dict[str, Any]) -> list[UnimodalRow]:
    """Score of every modality's own head, per method; methods without heads are left out.

    Args:
      results: the content of ``results.json``, or of ``result.json``.

    Returns:
      One row per method, all with the same modalities in sorted order.
    """
    metric = primary_metric(results)
    return _by_modality(results, unimodal_key(metric), metric)


def probe_table(results: dict[str, Any]) -> list[UnimodalRow]:
    """Accuracy, or R², of a linear probe on every frozen encoder, per method that has been probed.

    Args:
      results: as for `unimodal_table`.

    Returns:
      As `unimodal_table`.
    """
    metric = probe_metric(primary_metric(results))
    return _by_modality(results, f"probe_{metric}", metric)


def _by_modality(results: dict[str, Any], key: str, metric: str) -> list[UnimodalRow]:
    every = _methods(results)
    split = reported_split(every)
    methods = [m for m in every if m[split].get(key)]
    modalities = sorted({name for m in methods for name in m[split][key]})
    return [
        UnimodalRow(
            title=method["title"],
            spec=method["spec"],
            is_baseline=method["spec"] == results.get("baseline") and len(every) > 1,
            scores={name: _summary(method, method[split][key].get(name)) for name in modalities},
            metric=metric,
        )
        for method in methods
    ]


def cost_reference(results: dict[str, Any]) -> dict[str, Any]:
    """The method whose FLOPs the others' are divided by.

    Args:
      results: the content of ``results.json``, or of ``result.json``.

    Returns:
      The result of plain `late_fusion`; where it was not run, the baseline's.
    """
    methods = _methods(results)
    for spec in ("late_fusion", results.get("baseline")):
        for method in methods:
            if method["spec"] == spec:
                return method
    return methods[0]


def _methods(results: dict[str, Any]) -> list[dict[str, Any]]:
    methods = results.get("methods", [results])
    if not methods:
        raise ValueError("results has no methods; at least one is needed")
    return list(methods)


def _best_specs(methods: Sequence[dict[str, Any]], split: str, metric: str) -> set[str]:
    means = {m["spec"]: summarize(primary_scores(m, split, metric)).mean for m in methods}
    finite = [mean for mean in means.values() if mean is not None]
    return {spec for spec, mean in means.items() if finite and mean == max(finite)}


def _summary(method: dict[str, Any], values: Sequence[float | None] | None) -> Summary:
    """A metric's summary; one that a method did not record is undefined, not an error."""
    return summarize(values) if values else Summary(None, None, len(method["seeds"]))


def _row(
    method: dict[str, Any],
    baseline: dict[str, Any] | None,
    reference: dict[str, Any],
    split: str,
    metric: str,
    is_best: bool,
) -> Row:
    metrics, scores = method[split], primary_scores(method, split, metric)
    difference, evidence = None, None
    if baseline is not None and method is not baseline:
        if method["seeds"] != baseline["seeds"]:
            raise ValueError(
                f"{method['spec']!r} has the seeds {method['seeds']} and the baseline "
                f"{baseline['spec']!r} has {baseline['seeds']}; a paired test needs the same"
            )
        reference_scores = primary_scores(baseline, split, metric)
        difference = paired_test(scores, reference_scores)
        evidence = paired_evidence(scores, reference_scores)
    flops, reference_flops = (_positive(m.get("flops_per_step")) for m in (method, reference))
    return Row(
        title=method["title"],
        spec=method["spec"],
        is_baseline=method is baseline,
        is_best=is_best,
        score=summarize(scores),
        accuracy=_summary(method, metrics.get("accuracy")),
        difference=difference,
        p_holm=None,
        macro_f1=_summary(method, metrics.get("macro_f1")),
        balanced_accuracy=_summary(method, metrics.get("balanced_accuracy")),
        micro_f1=_summary(method, metrics.get("micro_f1")),
        weighted_f1=_summary(method, metrics.get("weighted_f1")),
        probe=_summary(method, _mean_over_modalities(metrics.get(f"probe_{probe_metric(metric)}"))),
        unimodal=_summary(method, _mean_over_modalities(metrics.get(unimodal_key(metric)))),
        fusion_loss=_summary(method, metrics.get("fusion_loss")),
        steps_per_second=_positive(method.get("steps_per_second")),
        flops_per_step=flops,
        flops_ratio=flops / reference_flops if flops and reference_flops else None,
        seconds=method.get("seconds"),
        compile_seconds=method.get("compile_seconds"),
        split=split,
        metric=metric,
        evidence=evidence,
        mae=_summary(method, metrics.get("mae")),
        rmse=_summary(method, metrics.get("rmse")),
    )


def _corrected(rows: Sequence[Row]) -> list[Row]:
    """The rows with Holm's correction over every comparison that has a p-value."""
    tested = {
        index: row.difference.p_value
        for index, row in enumerate(rows)
        if row.difference is not None and row.difference.p_value is not None
    }
    adjusted = dict(zip(tested, holm(list(tested.values())), strict=True))
    return [replace(row, p_holm=adjusted.get(index)) for index, row in enumerate(rows)]


def _mean_over_modalities(
    scores: dict[str, Sequence[float | None]] | None,
) -> list[float | None]:
    """Mean over modalities, seed by seed; ``None`` for a seed where a modality has no value."""
    return [
        None if any(value is None for value in values) else math.fsum(values) / len(values)
        for values in zip(*(scores or {}).values(), strict=True)
    ]


def _positive(value: float | None) -> float | None:
    """A cost that means something: backends report 0 or -1 for what they do not know."""
    return value if value is not None and math.isfinite(value) and value > 0 else None
