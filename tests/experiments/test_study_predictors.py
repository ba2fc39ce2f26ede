"""What is known of a case before any perturbation, and whether ranks of it agree with gains."""

import pytest
from scipy.stats import spearmanr

from experiments.study_evidence import Difference
from experiments.study_measurements import CaseMeasurements, Place
from experiments.study_methods import ALONE, FUSION_ALONE, LATE_FUSION
from experiments.study_predictors import GAINS, PREDICTORS, predictor_table
from masam_jax.analysis import holm


def _case(name="one", shift=0.0):
    """Two modalities and two seeds."""
    joint = [0.6 + shift, 0.8 + shift]
    return CaseMeasurements(
        "data",
        name,
        (0, 1),
        {LATE_FUSION: "late_fusion", FUSION_ALONE: "fusion_only", ALONE: "unimodal"},
        {
            Place(LATE_FUSION, "score"): [0.75, 0.85],
            Place(FUSION_ALONE, "score"): joint,
            Place(FUSION_ALONE, "accuracy"): joint,
            Place(FUSION_ALONE, "probe_accuracy", "a"): [0.6, 0.6 + shift],
            Place(FUSION_ALONE, "probe_accuracy", "b"): [0.4, 0.4],
            Place(ALONE, "score"): [0.5, 0.7],
            Place(ALONE, "probe_accuracy", "a"): [0.6, 0.7],
            Place(ALONE, "probe_accuracy", "b"): [0.6, 0.6],
            Place(ALONE, "unimodal_accuracy", "a"): [0.7, 0.9],
            Place(ALONE, "unimodal_accuracy", "b"): [0.5, 0.5],
            # By the validation samples the other one is best.
            Place(ALONE, "validation_unimodal_accuracy", "a"): [0.1, 0.1],
            Place(ALONE, "validation_unimodal_accuracy", "b"): [0.2, 0.2],
        },
    )


def test_numbers_of_a_case():
    found = {name: of(_case()) for name, of in PREDICTORS.items()}
    assert found == {
        "worst encoder: probe, joint less alone": pytest.approx(-0.2),
        "joint less best modality alone": pytest.approx(0.7 - 0.5),
        "joint less average of modalities alone": pytest.approx(0.7 - 0.6),
        "unimodal losses: with less without": pytest.approx(0.8 - 0.7),
        "late fusion's error": pytest.approx(0.2),
    }


def _gain(mean):
    return Difference(mean, None, None, None, None, None)


def test_ranks_are_correlated_and_corrected():
    shifts = [0.0, 0.05, -0.05, 0.1, 0.15]
    gains = dict(zip("vwxyz", [0.01, 0.03, -0.02, 0.02, 0.05], strict=True))
    cases = [_case(name, shift) for name, shift in zip(gains, shifts, strict=True)]
    found = {("data", c, m): _gain(g) for c, g in gains.items() for m in GAINS}
    # One that diverged somewhere counts where it did not.
    found["data", "v", GAINS[1]] = _gain(None)
    table = predictor_table(cases, found)
    rows = {row[0].text: row[1:] for row in table.rows}
    # What is the same in all cases has no ranks.
    assert [cell.text for cell in rows["late fusion's error"]] == ["—"] * len(GAINS)
    expected = spearmanr(shifts, list(gains.values()))
    kept = spearmanr(shifts[1:], list(gains.values())[1:])
    over_best = rows["joint less best modality alone"]
    assert over_best[0].numbers[""] == pytest.approx(expected.statistic)
    assert over_best[1].numbers[""] == pytest.approx(kept.statistic)
    turned = rows["unimodal losses: with less without"]
    assert turned[0].numbers[""] == pytest.approx(-expected.statistic)
    # Three predictors vary, for four methods.
    raw = [p for _ in range(3) for p in (expected.pvalue, kept.pvalue, *[expected.pvalue] * 2)]
    assert over_best[0].numbers["p"] == pytest.approx(holm(raw)[0])


def test_few_cases_say_nothing():
    assert predictor_table([_case("one"), _case("two")], {}) is None
