"""What is known of a case before any perturbation, and whether ranks of it agree with gains."""

from types import SimpleNamespace

import pytest
from scipy.stats import spearmanr

from experiments.study_evidence import Difference
from experiments.study_methods import ALONE, FUSION_ALONE, LATE_FUSION
from experiments.study_predictors import GAINS, PREDICTORS, predictor_table
from masam_jax.analysis import holm


class _Run:
    """A finished case of two modalities and two seeds."""

    def __init__(self, case, joint, alone, late, probes_joint, probes_alone):
        self.planned = SimpleNamespace(dataset="data", label=case)
        self.record = SimpleNamespace(split="test")
        heads = {"a": [0.7, 0.9], "b": [0.5, 0.5]}
        # By the validation samples the other one is best.
        judged = {"a": [0.1, 0.1], "b": [0.2, 0.2]}
        self._results = {
            FUSION_ALONE: _result(joint, heads, probes_joint),
            ALONE: _result(alone, heads, probes_alone, judged),
            LATE_FUSION: _result(late, heads, probes_joint),
        }

    def method(self, name):
        return SimpleNamespace(result=self._results[name])

    def scores(self, name):
        return self._results[name]["test"]["accuracy"]


def _result(accuracy, heads, probes, judged=None):
    test = {"accuracy": accuracy, "unimodal_accuracy": heads, "probe_accuracy": probes}
    return {"test": test, "validation": {"unimodal_accuracy": judged or heads}}


def _run(case="one", shift=0.0):
    return _Run(
        case,
        [0.6 + shift, 0.8 + shift],
        [0.5, 0.7],
        [0.75, 0.85],
        {"a": [0.6, 0.6 + shift], "b": [0.4, 0.4]},
        {"a": [0.6, 0.7], "b": [0.6, 0.6]},
    )


def test_numbers_of_a_case():
    found = {name: of(_run()) for name, of in PREDICTORS.items()}
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
    runs = [_run(case, shift) for case, shift in zip(gains, shifts, strict=True)]
    found = {("data", c, m): _gain(g) for c, g in gains.items() for m in GAINS}
    # One that diverged somewhere counts where it did not.
    found["data", "v", GAINS[1]] = _gain(None)
    table = predictor_table(runs, found)
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
    assert predictor_table([_run("one"), _run("two")], {}) is None
