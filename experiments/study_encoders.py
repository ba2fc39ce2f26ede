"""Is it the encoders that get better, or what is made of them; and are they flatter?"""

from __future__ import annotations

import numpy as np

from experiments.flatness import ratio_cell
from experiments.paper import FinishedRun
from experiments.saved import measured
from experiments.study_evidence import case_of
from experiments.study_methods import ALONE, FUSION_ALONE, LATE_FUSION, RECOMMENDED
from masam_jax.analysis import paired_test
from masam_jax.analysis.result_table import Cell, ResultTable, interval_cell, text_cell

COMPARED = (
    RECOMMENDED,
    "choice: score",
    "head not corrected",
    FUSION_ALONE,
    ALONE,
    "SAM, tuned",
    "ASAM, tuned",
    "MASAM, tuned",
)
"""Methods that are looked into."""
_RADIUS = 0.05
_SEEDS = 8  # A picture, not a test.
_NONE = {"ratio": None, "low": None, "high": None}


def encoder_table(run: FinishedRun) -> ResultTable:
    """Of a case: score, probes of the encoders, and sharpness, against late fusion."""
    split = run.record.split
    base = run.method(LATE_FUSION).result[split]
    names = [name for name in COMPARED if name in run.planned.methods]
    sharp = {name: _sharpness_of(run, name) for name in (LATE_FUSION, *names)}
    rows = []
    for name in names:
        of = run.method(name).result[split]
        differences = (
            (run.scores(name), run.scores(LATE_FUSION)),
            (_over_modalities(of["probe_accuracy"]), _over_modalities(base["probe_accuracy"])),
            (
                _over_modalities(of["unimodal_accuracy"]),
                _over_modalities(base["unimodal_accuracy"]),
            ),
        )
        cells = []
        for values, reference in differences:
            test = paired_test(values, reference)
            cells.append(
                interval_cell(test.mean_difference, test.interval(), scale=100, signed=True)
            )
        cells.append(
            ratio_cell(sharp[name], sharp[LATE_FUSION]) if sharp[name] else Cell("—", _NONE)
        )
        rows.append((text_cell(name), *cells))
    return ResultTable(
        f"{run.planned.label}-encoders-{run.planned.slug}",
        f"Encoders, {run.planned.dataset}, {case_of(run)}",
        ("Method", "Score", "Probes", "Own heads", "Sharpness ×"),
        tuple(rows),
        "Against late fusion, seed by seed, with Student's 95 % interval: points of the score; of"
        " linear probes on the frozen encoders and of the unimodal heads, averaged over"
        " modalities; and how much the fusion loss of the training samples rises at"
        f" {100 * _RADIUS:.0f} % of an encoder's norm along its gradient, geometric mean over"
        f" encoders and the first {_SEEDS} seeds. Not corrected for the number of rows.",
    )


def _sharpness_of(run: FinishedRun, name: str) -> list[float]:
    """One number a seed; none of what has no fused prediction."""
    if name == ALONE:
        return []
    slug = run.method(name).result["slug"]
    found: list[float] = measured(
        run, f"sharpness-train-{slug}", lambda: {"seeds": _sharpness(run, name)}
    )["seeds"]
    return found


def _sharpness(run: FinishedRun, name: str) -> list[float]:
    from masam_jax.geometry import sharpness
    from masam_jax.geometry.of_runs import open_losses

    spec = str(run.method(name).result["spec"])
    of_run = open_losses(run.record.path, spec, split="train", samples=None)
    found = []
    for seed in of_run.seeds[:_SEEDS]:
        params, batches = of_run.of_seed(seed)
        rises = sharpness(
            of_run.loss("fusion"),
            params,
            batches,
            rho=_RADIUS,
            radius="relative",
            labels=of_run.labels,
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log([rises[m].one_step for m in of_run.modalities])
        found.append(float(np.exp(logs.mean())))
    return found


def _over_modalities(values: dict[str, list[float | None]]) -> list[float | None]:
    """The mean over modalities, a number for each seed; None where one has none."""
    return [
        None if None in each else float(np.mean(np.asarray(each, np.float64)))
        for each in zip(*values.values(), strict=True)
    ]
