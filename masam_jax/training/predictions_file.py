"""Predictions of a run as CSV."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from masam_jax.training.estimates import Estimates
from masam_jax.training.evaluate import Evaluation
from masam_jax.training.predictions import Predictions
from masam_jax.training.storage.atomic_files import write_text
from masam_jax.training.storage.csv_text import csv_text


def write_predictions(path: Path, evaluations: Sequence[Evaluation]) -> None:
    """Writes one CSV line for each method, seed and sample.

    Columns: ``method, seed, row`` (index into the data set)``, key`` (the row's name, or its index)
    ``, label, prediction, confidence`` and one column with each modality's own prediction; classes
    by their names. A sample with several labels has all of them, zeros and ones, in a cell, with
    bars between them, and the probability of each as its confidence. Of targets, estimates take the
    place of predictions, several with bars between them, and there is no ``confidence``.

    Raises:
      OSError: the file cannot be written.
    """
    modalities = sorted(evaluations[0].predictions.unimodal)
    headings = ["method", "seed", "row", "key", "label", "prediction", "confidence", *modalities]
    of_evaluation = _prediction_lines
    if isinstance(evaluations[0].predictions, Estimates):
        headings.remove("confidence")
        of_evaluation = _estimate_lines
    lines = (line for found in evaluations for line in of_evaluation(found, modalities))
    write_text(path, csv_text([headings, *lines]))


def _prediction_lines(evaluation: Evaluation, modalities: list[str]) -> Iterator[list[Any]]:
    found = evaluation.predictions
    assert isinstance(found, Predictions)
    several = found.labels.ndim == found.probabilities.ndim
    confidence = found.probabilities if several else found.probabilities.max(axis=-1)
    fused, unimodal = found.fused, {m: found.decide(p) for m, p in found.unimodal.items()}
    names, keys = evaluation.class_names, evaluation.keys

    def named(value: np.ndarray) -> str:
        return _cell(value) if several or not names else names[int(value)]

    for index, seed in enumerate(evaluation.seeds):
        for position, row in enumerate(evaluation.rows[index]):
            at = (index, position)
            yield [
                evaluation.method.spec,
                seed,
                int(row),
                int(row) if keys is None else keys[row],
                named(found.labels[at]),
                named(fused[at]),
                _cell(confidence[at]),
                *(named(unimodal[m][at]) for m in modalities),
            ]


def _estimate_lines(evaluation: Evaluation, modalities: list[str]) -> Iterator[list[Any]]:
    found, keys = evaluation.predictions, evaluation.keys
    assert isinstance(found, Estimates)
    for index, seed in enumerate(evaluation.seeds):
        for position, row in enumerate(evaluation.rows[index]):
            at = (index, position)
            yield [
                evaluation.method.spec,
                seed,
                int(row),
                int(row) if keys is None else keys[row],
                *("|".join(map(repr, each[at].tolist())) for each in (found.labels, found.values)),
                *("|".join(map(repr, found.unimodal[m][at].tolist())) for m in modalities),
            ]


def _cell(value: np.ndarray) -> str:
    """One number, or those of several labels with bars between them."""
    form = "{:.6f}" if np.issubdtype(value.dtype, np.floating) else "{}"
    return "|".join(form.format(item) for item in np.atleast_1d(value))
