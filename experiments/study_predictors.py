"""Does what `masam diagnose` reports of a data set say beforehand what is gained on it?"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from experiments.paper import FinishedRun
from experiments.study_evidence import Difference, Place, place_of
from experiments.study_methods import ALONE, FUSION_ALONE, LATE_FUSION, RECOMMENDED
from masam_jax.analysis import holm, summarize
from masam_jax.analysis.formatting import number, p_value
from masam_jax.analysis.result_table import Cell, ResultTable, text_cell

GAINS = (RECOMMENDED, "SAM, tuned", "ASAM, tuned", "MASAM, tuned")
"""Methods whose gain over late fusion is to be predicted."""
_FEWEST = 4  # Cases; of three, ranks agree by chance every sixth time.


def drowned(run: FinishedRun) -> float:
    """Of the worst encoder, the probe after joint training less the one after training alone."""
    joint, alone = _probes(run, FUSION_ALONE), _probes(run, ALONE)
    return min(joint[m] - alone[m] for m in joint)


def over_best(run: FinishedRun) -> float:
    """Trained jointly, less the modality that is best alone by the validation samples."""
    alone = run.method(ALONE).result
    judged = _means(alone["validation"]["unimodal_accuracy"])
    best = max(judged, key=judged.__getitem__)
    joint = _mean(run.method(FUSION_ALONE).result[run.record.split]["accuracy"])
    return joint - _means(alone[run.record.split]["unimodal_accuracy"])[best]


def over_average(run: FinishedRun) -> float:
    """Trained jointly, less the average of the modalities trained alone."""
    return _score(run, FUSION_ALONE) - _score(run, ALONE)


def over_unsupervised(run: FinishedRun) -> float:
    """With unimodal losses, less without."""
    return _score(run, LATE_FUSION) - _score(run, FUSION_ALONE)


def room(run: FinishedRun) -> float:
    """What late fusion gets wrong."""
    return 1 - _score(run, LATE_FUSION)


PREDICTORS: Mapping[str, Callable[[FinishedRun], float]] = {
    "worst encoder: probe, joint less alone": drowned,
    "joint less best modality alone": over_best,
    "joint less average of modalities alone": over_average,
    "unimodal losses: with less without": over_unsupervised,
    "late fusion's error": room,
}
"""What it is called -> of a case, by numbers that `masam diagnose` reports; fractions."""


def predictor_table(
    runs: Sequence[FinishedRun], found: Mapping[Place, Difference]
) -> ResultTable | None:
    """Spearman's rank correlation over cases of every predictor with every gain.

    Args:
      runs: the cases.
      found: of `differences`.

    Returns:
      A row for each predictor; None of too few cases.
    """
    from scipy.stats import spearmanr

    if len(runs) < _FEWEST:
        return None
    values = {name: [of(run) for run in runs] for name, of in PREDICTORS.items()}
    places = [(name, method) for name in PREDICTORS for method in GAINS]
    results = {}
    for name, method in places:
        gains = [found[place_of(run, method)].mean for run in runs]
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
        f"Spearman's rank correlation, over {len(runs)} cases, with the method's mean difference to"
        " late fusion; in brackets p after Holm's correction for the table. Cases of one data set"
        " resemble each other, so p is too small rather than too large.",
    )


def _cell(result: tuple[float, float] | None, corrected: float | None) -> Cell:
    if result is None or corrected is None:
        return Cell("—", {"": None, "p": None})
    text = f"{number(result[0], 2, signed=True)} ({p_value(corrected)})"
    return Cell(text, {"": result[0], "p": corrected})


def _probes(run: FinishedRun, name: str) -> dict[str, float]:
    return _means(run.method(name).result[run.record.split]["probe_accuracy"])


def _means(by_modality: Mapping[str, Sequence[float | None]]) -> dict[str, float]:
    return {m: _mean(values) for m, values in by_modality.items()}


def _score(run: FinishedRun, name: str) -> float:
    return _mean(run.scores(name))


def _mean(values: Sequence[float | None]) -> float:
    mean = summarize(values).mean
    return float("nan") if mean is None else mean
