"""Does what `masam diagnose` reports of a data set say beforehand what is gained on it?"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from experiments.study_evidence import Compared, Difference, place_of
from experiments.study_measurements import CaseMeasurements, Place
from experiments.study_methods import ALONE, FUSION_ALONE, LATE_FUSION, RECOMMENDED
from masam_jax.analysis import holm, summarize
from masam_jax.analysis.formatting import number, p_value
from masam_jax.analysis.result_table import Cell, ResultTable, text_cell

GAINS = (RECOMMENDED, "SAM, tuned", "ASAM, tuned", "MASAM, tuned")
"""Methods whose gain over late fusion is to be predicted."""
_FEWEST = 4  # Cases; of three, ranks agree by chance every sixth time.


def drowned(case: CaseMeasurements) -> float:
    """Of the worst encoder, the probe after joint training less the one after training alone."""
    joint, alone = (_means(case, name, "probe_accuracy") for name in (FUSION_ALONE, ALONE))
    return min(joint[m] - alone[m] for m in joint)


def over_best(case: CaseMeasurements) -> float:
    """Trained jointly, less the modality that is best alone by the validation samples."""
    judged = _means(case, ALONE, "validation_unimodal_accuracy")
    best = max(judged, key=judged.__getitem__)
    joint = _mean(case.values[Place(FUSION_ALONE, "accuracy")])
    return joint - _means(case, ALONE, "unimodal_accuracy")[best]


def over_average(case: CaseMeasurements) -> float:
    """Trained jointly, less the average of the modalities trained alone."""
    return _score(case, FUSION_ALONE) - _score(case, ALONE)


def over_unsupervised(case: CaseMeasurements) -> float:
    """With unimodal losses, less without."""
    return _score(case, LATE_FUSION) - _score(case, FUSION_ALONE)


def room(case: CaseMeasurements) -> float:
    """What late fusion gets wrong."""
    return 1 - _score(case, LATE_FUSION)


PREDICTORS: Mapping[str, Callable[[CaseMeasurements], float]] = {
    "worst encoder: probe, joint less alone": drowned,
    "joint less best modality alone": over_best,
    "joint less average of modalities alone": over_average,
    "unimodal losses: with less without": over_unsupervised,
    "late fusion's error": room,
}
"""What it is called -> of a case, by numbers that `masam diagnose` reports; fractions."""


def predictor_table(
    cases: Sequence[CaseMeasurements], found: Mapping[Compared, Difference]
) -> ResultTable | None:
    """Spearman's rank correlation over cases of every predictor with every gain.

    Args:
      cases: all of them.
      found: of `differences`.

    Returns:
      A row for each predictor; None of too few cases.
    """
    from scipy.stats import spearmanr

    if len(cases) < _FEWEST:
        return None
    values = {name: [of(case) for case in cases] for name, of in PREDICTORS.items()}
    places = [(name, method) for name in PREDICTORS for method in GAINS]
    results = {}
    for name, method in places:
        gains = [found[place_of(case, method)].mean for case in cases]
        pairs = np.array(
            [(v, g) for v, g in zip(values[name], gains, strict=True) if g is not None]
        )
        if len(pairs) >= _FEWEST and (np.ptp(pairs, axis=0) > 0).all():
            result = spearmanr(*pairs.T)
            results[name, method] = float(result.statistic), float(result.pvalue)
    corrected = dict(zip(results, holm([p for _, p in results.values()]), strict=True))
    rows = []
    for name in PREDICTORS:
        cells = [_cell(results.get((name, m)), corrected.get((name, m))) for m in GAINS]
        rows.append((text_cell(name), *cells))
    return ResultTable(
        "study-predictors",
        "What says beforehand how much is gained",
        ("Of late fusion and modalities alone", *GAINS),
        tuple(rows),
        f"Spearman's rank correlation, over {len(cases)} cases, with the method's mean difference"
        " to late fusion; in brackets p after Holm's correction for the table. Cases of one data"
        " set resemble each other, so p is too small rather than too large.",
    )


def _cell(result: tuple[float, float] | None, corrected: float | None) -> Cell:
    if result is None or corrected is None:
        return Cell("—", {"": None, "p": None})
    text = f"{number(result[0], 2, signed=True)} ({p_value(corrected)})"
    return Cell(text, {"": result[0], "p": corrected})


def _means(case: CaseMeasurements, method: str, measure: str) -> dict[str, float]:
    return {m: _mean(values) for m, values in case.by_modality(method, measure).items()}


def _score(case: CaseMeasurements, name: str) -> float:
    return _mean(case.scores(name))


def _mean(values: Sequence[float | None]) -> float:
    mean = summarize(values).mean
    return float("nan") if mean is None else mean
