"""What experiments make of finished runs: tables beside published numbers, curves, sentences."""

import numpy as np
import pytest

from experiments import ablation, cost, flatness, label_noise, main_table, sensitivity
from experiments.curves import area
from experiments.paper import Scale
from experiments.published_results import BEST_PREVIOUS, published_score
from experiments.verdict import verdict
from masam_jax.analysis import paired_test
from tests.experiments.fake_runs import fake_runs


def test_the_ablation_has_published_numbers_beside_measured_ones(tmp_path):
    runs = fake_runs(tmp_path, ablation.EXPERIMENT, "kinetics_sounds", "mfeat")
    found = ablation.EXPERIMENT.conclude(runs, Scale())
    names = [table.name for table in found.tables]
    assert names == ["ablation-kinetics_sounds", "ablation-mfeat", "published"]
    assert [cell.text for cell in found.tables[2].rows[0]] == ["MASAM", "49.8", "74.0"]
    rows = {row[0].text: row for row in found.tables[0].rows}
    assert list(rows) == ["MASAM", "w/o APS", "w/o MDPS", "SAM only", "late fusion"]
    published = {name: row[5].numbers[""] for name, row in rows.items()}
    assert published == pytest.approx(
        {"MASAM": 74.0, "w/o APS": 72.4, "w/o MDPS": 72.3, "SAM only": 68.9, "late fusion": 63.6}
    )
    assert all(row[5].text == "—" for row in found.tables[1].rows)
    test = paired_test(runs[0].scores("w/o APS"), runs[0].scores("late fusion"))
    assert rows["w/o APS"][3].numbers["mean"] == test.mean_difference
    assert rows["late fusion"][3].text == "baseline"
    assert found.remarks[0].startswith("On kinetics_sounds late fusion has the highest score; next")


def test_the_main_table_has_a_column_for_every_data_set(tmp_path):
    runs = fake_runs(tmp_path, main_table.EXPERIMENT, "crema_d", "mfeat")
    found = main_table.EXPERIMENT.conclude(runs, Scale())
    measured, published = found.tables
    assert measured.headings == (
        "Method",
        "crema_d, accuracy",
        "crema_d, published",
        "mfeat, accuracy",
    )
    rows = {row[0].text: row for row in measured.rows}
    assert rows["late fusion"][2].text == "66.0"
    assert rows["late fusion"][1].is_best
    # What was tuned for the one is not run on the other.
    assert rows[main_table.OWN_RADIUS][1].text == "—"
    assert rows[main_table.OWN_RADIUS][3].text != "—"
    assert [row[0].text for row in published.rows] == list(BEST_PREVIOUS)
    assert [row[2].text for row in published.rows][:3] == ["48.1", "58.5", "77.0"]
    assert {plot.name for plot in found.plots} == {"scores-crema_d", "scores-mfeat"}


def test_published_numbers_are_those_of_the_data_set():
    assert published_score("crema_d:frames=3", "masam") == 0.814
    assert published_score("mfeat", "masam") is None
    assert published_score("food101", "sam") is None


def test_label_noise_is_a_curve_and_the_area_under_it(tmp_path):
    runs = fake_runs(tmp_path, label_noise.EXPERIMENT, "mfeat")
    found = label_noise.EXPERIMENT.conclude(runs, Scale())
    (table,), (plot,) = found.tables, found.plots
    assert table.headings[1:] == (*(f"{r} % wrong" for r in (0, 20, 40, 60, 80)), "Area")
    row = next(row for row in table.rows if row[0].text == "MASAM")
    scores = np.array([run.scores("MASAM") for run in runs])
    expected = (scores[0] / 2 + scores[1:4].sum(axis=0) + scores[4] / 2) / 4
    assert row[6].numbers["mean"] == pytest.approx(expected.mean())
    assert plot.name == "label-noise"


def test_areas_are_mean_heights():
    values = np.array([[1.0, 0.0], [0.5, 0.0], [0.0, 1.0]])
    assert area([0.0, 1.0, 3.0], values) == pytest.approx([(0.75 + 0.5) / 3, 1.0 / 3])


def test_sensitivity_departs_from_the_setting_one_option_at_a_time(tmp_path):
    (planned,) = sensitivity.EXPERIMENT.plan("mfeat", Scale())
    assert planned.methods["MASAM"] == "masam:rho=48"
    assert planned.methods["ρ = 3"] == "masam:rho=3"
    assert planned.methods["α = 0"] == "masam:alpha=0,rho=48"
    assert planned.methods["β = 0.99"] == "masam:beta=0.99,rho=48"
    assert len(set(planned.methods.values())) == len(planned.methods)
    # On published data from the published setting.
    (planned,) = sensitivity.EXPERIMENT.plan("mimic_mortality", Scale())
    assert planned.methods["ρ = 1"] == "masam:rho=1"
    assert "α = 0.5" not in planned.methods
    runs = fake_runs(tmp_path, sensitivity.EXPERIMENT, "mfeat")
    found = sensitivity.EXPERIMENT.conclude(runs, Scale())
    assert [plot.name for plot in found.plots] == ["rho-mfeat", "alpha-mfeat", "beta-mfeat"]
    line = found.plots[0].figure.axes[0].lines[0]
    assert line.get_xdata().tolist() == [-4, -2, -1, 0, 1, 2]
    expected = [np.mean(runs[0].scores(n)) for n in ("ρ = 3", "ρ = 12", "ρ = 24", "MASAM")]
    assert line.get_ydata()[:4].tolist() == pytest.approx([100 * mean for mean in expected])


def test_cost_is_in_units_of_late_fusion(tmp_path):
    runs = fake_runs(tmp_path, cost.EXPERIMENT, "mfeat")
    runs[0].method("masam").result.update(flops_per_step=5e7, steps_per_second=32.0)
    (table,) = cost.EXPERIMENT.conclude(runs, Scale()).tables
    rows = {row[0].text: [cell.text for cell in row[1:3]] for row in table.rows}
    assert rows["late fusion"] == ["1.00", "1.00"]
    assert rows["MASAM ρ=0.3"] == ["2.00", "4.00"]
    assert [round(cost.floor(m), 2) for m in (2, 3, 6)] == [2.17, 2.0, 1.83]


def test_the_verdict_says_who_is_ahead_and_how_sure_that_is():
    scores = {"late fusion": [0.5, 0.6, 0.7], "MASAM": [0.52, 0.63, 0.71], "SAM": [0.5, None, 0.6]}
    said = verdict(scores, "score", "digits")
    low, high = paired_test(scores["MASAM"], scores["late fusion"]).interval()
    assert said.startswith("On digits the highest score is that of MASAM, +2.00 points from late")
    assert f"{100 * low:+.2f} to {100 * high:+.2f}".replace("-", "−") in said
    assert "late fusion has the highest score; next is MASAM" in verdict(
        {**scores, "late fusion": [0.6, 0.7, 0.8]}, "score", "digits"
    )
    assert "diverged" in verdict({"late fusion": [None], "MASAM": [0.5]}, "score", "digits")


def test_ratios_are_geometric_means_with_an_interval_of_their_logarithm():
    above, below = [2.0, 8.0, 4.0], [1.0, 2.0, 2.0]
    mean, low, high = flatness.ratio(above, below)
    assert mean == pytest.approx(16 ** (1 / 3))
    assert low * high == pytest.approx(mean**2)
    assert flatness.ratio([1.0, -1.0], [1.0, 1.0]) is None
    assert flatness.ratio([1.0], [1.0]) is None
