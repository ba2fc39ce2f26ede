"""Classes of every method as tables: CSV files with everything, and what a report has room for."""

from collections.abc import Sequence
from typing import Any

from masam_jax.analysis import formatting
from masam_jax.analysis.class_scores import ClassCounts, ClassScore
from masam_jax.training.storage.csv_text import csv_text

# A matrix of more classes cannot be read on a screen; what stands out is listed instead.
MOST_CLASSES = 20
_LISTED = 15

# Title and specification of a method, and its counts.
Counted = Sequence[tuple[str, str, ClassCounts]]


def scores_csv(counted: Counted) -> str:
    """Precision, recall and F1 of every class and method, in full precision."""
    headings = ["method", "spec", "class"]
    headings += [
        f"{name}_{part}" for name in ("precision", "recall", "f1") for part in ("mean", "std")
    ]
    lines: list[list[Any]] = [[*headings, "seeds", "support"]]
    for title, spec, counts in counted:
        for score in counts.scores():
            three = (score.precision, score.recall, score.f1)
            numbers = [value for each in three for value in (each.mean, each.std)]
            lines.append([title, spec, score.name, *numbers, len(counts.counts), score.support])
    return csv_text(lines)


def confusion_csv(counted: Counted) -> str:
    """Samples by method, true and predicted class, all seeds together.

    Of several labels a line has the label, and whether it was there and was predicted.
    """
    multi_label = any(counts.multi_label for _, _, counts in counted)
    lines: list[list[Any]] = [
        ["method", "spec", *(["label"] if multi_label else []), "true", "predicted", "samples"]
    ]
    for title, spec, counts in counted:
        pooled = counts.pooled
        if counts.multi_label:
            for name, table in zip(counts.names, pooled.tolist(), strict=True):
                for truth, line in enumerate(table):
                    lines += [[title, spec, name, truth, p, n] for p, n in enumerate(line)]
        else:
            for actual, line in zip(counts.names, pooled.tolist(), strict=True):
                found = zip(counts.names, line, strict=True)
                lines += [[title, spec, actual, name, n] for name, n in found]
    return csv_text(lines)


def score_cells(counts: ClassCounts) -> tuple[list[dict[str, str]], int]:
    """Lines of the table of classes, and how many classes it leaves out.

    All classes in their order; of more than `MOST_CLASSES`, those with the lowest F1.
    """
    scores = counts.scores()
    what = "Label" if counts.multi_label else "Class"
    if len(scores) > MOST_CLASSES:
        shown = sorted(scores, key=lambda score: _or_infinity(score.f1.mean))[:_LISTED]
    else:
        shown = scores
    return [_cells(score, what) for score in shown], len(scores) - len(shown)


def pair_cells(counts: ClassCounts) -> list[dict[str, str]]:
    """The pairs of classes that are confused most."""
    return [
        {
            "True class": truth,
            "Predicted as": predicted,
            "Samples": str(samples),
            "Of the true class, %": formatting.number(share * 100, 1),
        }
        for truth, predicted, samples, share in counts.confused_pairs()[:_LISTED]
    ]


def matrix(counts: ClassCounts) -> dict[str, Any] | None:
    """The confusion matrix for a page: names, and lines of counts with their share of the line.

    None for several labels, and for more classes than `MOST_CLASSES`.
    """
    if counts.multi_label or len(counts.names) > MOST_CLASSES:
        return None
    lines = []
    for name, line in zip(counts.names, counts.pooled.tolist(), strict=True):
        total = max(sum(line), 1)
        cells = [{"samples": n, "share": round(n / total, 3)} for n in line]
        lines.append({"name": name, "cells": cells})
    return {"names": counts.names, "lines": lines}


def _cells(score: ClassScore, what: str) -> dict[str, str]:
    return {
        what: score.name,
        "Precision, %": formatting.percent(score.precision),
        "Recall, %": formatting.percent(score.recall),
        "F1, %": formatting.percent(score.f1),
        "Samples": str(score.support),
    }


def _or_infinity(value: float | None) -> Any:
    return float("inf") if value is None else value
