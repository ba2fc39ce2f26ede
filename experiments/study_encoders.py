"""Is it the encoders that get better, or what is made of them; and are they flatter?"""

from collections.abc import Sequence

from experiments.flatness import ratio_cell
from experiments.study_measurements import (
    LOOKED_INTO,
    RADIUS,
    SHARPNESS_SEEDS,
    CaseMeasurements,
    Place,
)
from experiments.study_methods import ALONE, LATE_FUSION
from masam_jax.analysis import paired_test
from masam_jax.analysis.result_table import Cell, ResultTable, interval_cell, text_cell

_NONE = Cell("—", {"ratio": None, "low": None, "high": None})


def encoder_table(case: CaseMeasurements) -> ResultTable:
    """Of a case: score, probes of the encoders, and sharpness, against late fusion."""
    rows = []
    for name in (each for each in LOOKED_INTO if each in case.methods):
        cells = [_difference(case.scores(name), case.scores(LATE_FUSION))]
        for measure in ("probe_accuracy", "unimodal_accuracy"):
            ours, late = (case.over_modalities(n, measure) for n in (name, LATE_FUSION))
            cells.append(_difference(ours, late))
        cells.append(_NONE if name == ALONE else _sharpness(case, name))
        rows.append((text_cell(name), *cells))
    return ResultTable(
        f"{case.slug}-encoders",
        f"Encoders, {case.title}",
        ("Method", "Score", "Probes", "Own heads", "Sharpness ×"),
        tuple(rows),
        "Against late fusion, seed by seed, with Student's 95 % interval: points of the score; of"
        " linear probes on the frozen encoders and of the unimodal heads, averaged over"
        " modalities; and how much the fusion loss of the training samples rises at"
        f" {100 * RADIUS:.0f} % of an encoder's norm along its gradient, geometric mean over"
        f" encoders and the first {SHARPNESS_SEEDS} seeds, — where float32 tells no rise of some"
        " encoder. Not corrected for the number of rows.",
    )


def _difference(ours: Sequence[float | None], late: Sequence[float | None]) -> Cell:
    test = paired_test(ours, late)
    return interval_cell(test.mean_difference, test.interval(), scale=100, signed=True)


def _sharpness(case: CaseMeasurements, name: str) -> Cell:
    ours, late = (case.values[Place(n, "sharpness")] for n in (name, LATE_FUSION))
    if None in ours or None in late:
        return _NONE
    return ratio_cell([x for x in ours if x is not None], [x for x in late if x is not None])
