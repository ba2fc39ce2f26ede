"""The choice of the score against removal: the arithmetic, the plan, and what is written."""

import json

import numpy as np
import pytest

from experiments import dynamics
from experiments.dynamics import EXPERIMENT, conclude, plan
from experiments.paper import FinishedRun, Scale
from experiments.removal import chance, costliest, hits, named, regret, share_interval
from masam_jax.analysis.records import read_directory
from masam_jax.config.errors import RunError
from tests.analysis.fake_directories import write_comparison

# Of four seeds; the costs of the last one are equal but for rounding.
COSTS = {
    "a": np.array([0.3, 0.1, 0.0, 0.2]),
    "b": np.array([0.1, 0.4, 0.0, 0.2 + 1e-12]),
}
VALUES = {"a": np.array([0.9, 0.8, 0.5, 0.6]), "b": np.array([0.1, 0.2, 0.5, 0.4])}


def test_a_rule_is_right_where_it_names_one_of_the_costliest():
    assert costliest(COSTS).tolist() == [[True, False, True, True], [False, True, True, True]]
    assert named(VALUES).tolist() == [0, 0, 0, 0]
    # Equal values of the third seed name nobody.
    assert hits(VALUES, COSTS).tolist() == [True, False, False, True]
    np.testing.assert_allclose(regret(VALUES, COSTS), [0, 0.3, 0, 0], atol=1e-9)
    assert chance(COSTS) == pytest.approx((0.5 + 0.5 + 1 + 1) / 4)


@pytest.mark.parametrize("right", [0, 3, 8])
def test_the_interval_is_wilsons(right):
    found = np.arange(8) < right
    z, n, p = 1.959963984540054, 8, right / 8
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    np.testing.assert_allclose(share_interval(found), (middle - half, middle + half), atol=1e-9)


def test_every_modality_is_left_out_once_and_two_are_noisy():
    runs = {run.label: run for run in plan("synthetic", Scale())}
    assert runs["dynamics"].methods["late fusion"] == "masam:rho=0"
    assert "MASAM" in runs["dynamics"].methods
    without = {k: run for k, run in runs.items() if k.startswith("dynamics-without")}
    assert [run.options["modalities"] for run in without.values()] == [
        ["m1", "m2"],
        ["m0", "m2"],
        ["m0", "m1"],
    ]
    noisy = [run.options["input_noise_of"] for run in runs.values() if "input_noise" in run.options]
    assert noisy == [["m0"], ["m2"]]
    assert {run.options["log_every"] for run in runs.values()} == {10}
    quick = plan("synthetic", Scale(quick=True))
    assert len(quick) == 5


def test_tokens_are_not_made_noisy(monkeypatch):
    kinds = {"image": "image", "text": "tokens"}
    monkeypatch.setattr(dynamics, "_modalities", lambda dataset: kinds)
    runs = plan("food101", Scale())
    noisy = [run.options["input_noise_of"] for run in runs if "input_noise" in run.options]
    assert noisy == [["image"]]


def test_one_modality_is_none_to_do_without():
    with pytest.raises(RunError, match="has one modality, m0: there is none to do without"):
        plan("synthetic:dominance=1", Scale())


def test_conclusions(tmp_path):
    """Of made-up runs, whose records say that the score chooses m2 and m0 costs most."""
    modalities = ("m0", "m1", "m2")
    runs = []
    for planned in plan("synthetic", Scale(seeds=3, quick=True)):
        place = tmp_path / planned.label
        given = [(spec, name, 0.9, "masam" in spec) for name, spec in planned.methods.items()]
        names = [m for m in modalities if m in planned.options.get("modalities", modalities)]
        write_comparison(place, seeds=3, methods=given, modalities=names, spread=0)
        for path in place.glob("methods/masam*/metrics.jsonl"):
            records = [json.loads(line) for line in path.read_text().splitlines()]
            for record in records:
                norms = {m: [1.0, 2.0, 3.0] for m in names}
                record |= {"fusion_gradient_norm": norms} if "score" in record else {}
            path.write_text("".join(json.dumps(record) + "\n" for record in records))
            slug = path.parent.name
            (place / "measured").mkdir(exist_ok=True)
            masked = {"m0": [0.4] * 3, "m1": [0.8] * 3, "m2": [0.85, 0.85, 0.2]}
            written = place / "measured" / f"without-each-{slug}.json"
            written.write_text(json.dumps(masked))
        runs.append(FinishedRun(planned, read_directory(place)))
    found = conclude(runs, Scale(seeds=3, quick=True))
    choices, rules, table = found.tables
    assert [row[0].text for row in choices.rows] == [
        "as it is",
        "m0 noisy, 0 dB",
        "as it is, MASAM",
    ]
    assert choices.rows[0][2].text == "m2 (50.0 % of steps)"
    assert choices.rows[0][3].text == "m0 (50.0 points)"
    assert choices.rows[0][4].text.startswith("1 of 3 [")
    # Of two seeds 45 points, and of the third, whose own costliest it is, none.
    assert choices.rows[0][5].numbers["mean"] == pytest.approx(2 * 45 / 3)
    aps, *_, heads = rules.rows
    assert [cell.text for cell in aps[1:]] == ["1 of 3", "3 of 3", "1 of 3"]
    assert [cell.text for cell in heads[1:]] == ["2 of 3", "3 of 3", "2 of 3"]
    assert [row[0].text for row in table.rows] == list(modalities)
    assert found.remarks[0].startswith("Over all data and conditions, masked at test: the modality")
    assert "on 2 of 6 networks (33 %" in found.remarks[0]
    assert "The best own head named it on 4" in found.remarks[0]
    assert found.remarks[1] == (
        "By condition: as it is 1 of 3 (chance 33 %), one modality noisy 1 of 3 (chance 33 %)."
    )
    assert "on 3 of 3 seeds, the best own head on 3." in found.remarks[2]
    (plot,) = found.plots
    assert [ax.get_title(loc="left") for ax in plot.figure.axes] == ["as it is", "m0 noisy, 0 dB"]
    assert EXPERIMENT.question.endswith("?")
