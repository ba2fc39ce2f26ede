"""The study: what is planned, that nothing final is tuned on, and when its claim holds."""

import dataclasses

import pytest

from experiments.paper import Scale
from experiments.study import EXPERIMENT, findings
from experiments.study_cases import CASES, CONSTRUCTED, OPEN_SETS
from experiments.study_evidence import CLAIMED, Difference, claim, differences, place_of
from experiments.study_measurements import CaseMeasurements, measure_case
from experiments.study_methods import (
    ALONE,
    FACTORS,
    LATE_FUSION,
    RECOMMENDED,
    TUNED,
    UNTUNED,
    tuned,
)
from experiments.study_plot import SHOWN
from experiments.study_summary import summary_table
from masam_jax.analysis import holm, paired_test
from masam_jax.api.keywords import run_settings
from masam_jax.methods import parse_method
from tests.experiments.fake_runs import fake_run


def test_every_data_set_of_the_study_has_cases():
    assert {case.dataset for case in CASES} == {*OPEN_SETS, *CONSTRUCTED}
    names = [(case.dataset, case.label) for case in CASES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("dataset", [*OPEN_SETS, *CONSTRUCTED])
def test_what_is_planned_is_accepted_and_tuned_apart(dataset):
    for run in EXPERIMENT.plan(dataset, Scale()):
        assert next(iter(run.methods)) == LATE_FUSION
        settings = run_settings("compare", run.dataset, run.options).experiment
        final = settings.seeds.values
        assert len(final) == 16
        search = run.search
        trial = range(search.first_seed, search.first_seed + search.seeds)
        assert not set(final) & set(trial)
        assert settings.evaluation.report == "last"
        for name, spec in search.methods.items():
            method = parse_method(spec)
            searched = set(method.search) - method.named
            assert searched == ({"weight"} if name == "late fusion, λ tuned" else {"rho"}), name


def test_a_factor_changes_one_thing_of_what_is_recommended():
    base = dataclasses.asdict(parse_method(UNTUNED[RECOMMENDED]).options)
    # To choose, an option of the score is nothing by itself.
    choosing = {"select"}
    for name, spec in FACTORS.items():
        options = dataclasses.asdict(parse_method(spec).options)
        changed = {option for option, value in options.items() if value != base[option]}
        if name.startswith("score:"):
            changed -= choosing
        if name == "every other step":
            assert changed == {"perturb_every", "reuse"}
        else:
            assert len(changed) == 1, (name, changed)


def _run(tmp_path):
    case = EXPERIMENT.plan("mfeat", Scale(seeds=3))[1]
    found = case.with_found([f"sam:rho=0.{i}" for i in range(1, 1 + len(tuned(False)))])
    return fake_run(tmp_path / "run", found)


def test_differences_are_corrected_over_the_whole_study(tmp_path):
    case = measure_case(_run(tmp_path))
    found = differences([case])
    names = [name for name in case.methods if name != LATE_FUSION]
    assert [name for _, _, name in found] == names
    raw = [paired_test(case.scores(n), case.scores(LATE_FUSION)).p_value for n in names]
    known = [p for p in raw if p is not None]
    corrected = [d.corrected for d in found.values() if d.p_value is not None]
    assert corrected == holm(known)


def test_the_tables_name_what_was_found(tmp_path):
    run = _run(tmp_path)
    found = EXPERIMENT.conclude([run], Scale())
    overall, table = found.tables
    assert overall.title == "What each method gains over all cases of open data"
    rows = {row[0].text: row for row in table.rows}
    assert set(rows) == {*UNTUNED, *TUNED}
    assert rows["SAM, tuned"][1].text == run.planned.methods["SAM, tuned"]
    assert rows[LATE_FUSION][3].text == "baseline"
    assert rows[RECOMMENDED][3].numbers["mean"] == pytest.approx(-0.03, abs=0.02)
    for method, remark in zip(CLAIMED, found.remarks, strict=True):
        assert remark.startswith(f"{method!r}, untuned, is at least as good")
        assert " of 1 cases of open data" in remark
        assert remark.endswith("The claim does not hold.")
    assert "in 0 of 1 cases" in found.remarks[0]


def test_the_picture_has_a_dot_and_an_interval_for_each_gain(tmp_path):
    case = measure_case(_run(tmp_path))
    (plot,) = findings([case]).plots
    (ax,) = plot.figure.axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["mfeat, many labels"]
    found = differences([case])
    for name in SHOWN:
        each = found[place_of(case, name)]
        assert any(list(line.get_xdata()) == [100 * each.mean] for line in ax.lines)
        ends = [100 * end for end in each.interval]
        assert any(list(line.get_xdata()) == ends for line in ax.lines)


def _difference(mean, not_worse, corrected):
    return Difference(mean, (mean - 0.01, mean + 0.01), corrected, corrected, 1.0, not_worse)


def _found(**changes):
    good = _difference(0.02, 1e-4, 1e-4)
    found = {(dataset, "few", RECOMMENDED): good for dataset in OPEN_SETS}
    found |= {(dataset, "few", "SAM, tuned"): _difference(-0.1, 1.0, 1e-9) for dataset in OPEN_SETS}
    found[(CONSTRUCTED[0], "few", RECOMMENDED)] = _difference(-0.5, 1.0, 1e-9)
    return found | {(dataset, "few", RECOMMENDED): each for dataset, each in changes.items()}


def test_the_claim_is_of_open_data_and_of_one_method():
    found = claim(_found(), OPEN_SETS)
    assert found.holds
    assert len(found.cases) == len(OPEN_SETS)
    assert found.sentence.endswith("The claim holds.")


@pytest.mark.parametrize(
    "changes, holds",
    [
        ({"mfeat": _difference(0.0, 0.01, 0.9)}, True),  # Better on three is enough.
        ({"mfeat": _difference(-0.002, 0.2, 0.9)}, False),  # Not shown to be as good.
        ({"mfeat": _difference(-0.02, 1.0, 1e-5)}, False),
        ({"mfeat": _difference(0.0, None, None)}, False),  # A seed diverged.
        (
            {d: _difference(0.001, 0.001, 0.02) for d in ("mfeat", "leaves100")},
            False,
        ),  # On two alone.
    ],
)
def test_when_the_claim_holds(changes, holds):
    found = claim(_found(**changes), OPEN_SETS)
    assert found.holds is holds


def test_a_claim_of_another_method_is_of_its_own_differences():
    found = _found() | {
        (dataset, "few", ALONE): _difference(0.02, 1e-4, 1e-4 if dataset == "mfeat" else 0.02)
        for dataset in OPEN_SETS
    }
    other = claim(found, OPEN_SETS, ALONE)
    assert not other.holds
    assert other.better == (("mfeat", "few"),)
    assert other.sentence.startswith(f"{ALONE!r}, untuned")
    assert claim(found, OPEN_SETS).holds


def _case(dataset, label, methods):
    return CaseMeasurements(dataset, label, (0,), dict.fromkeys(methods, "spec"), {})


def test_the_summary_counts_what_is_shown_over_open_cases():
    names = (LATE_FUSION, RECOMMENDED, ALONE)
    cases = [
        _case("mfeat", "few", (*names, "choice: soft")),  # Not in every case: no row.
        _case("mfeat", "many", names),
        _case("leaves100", "few", names),
        _case(CONSTRUCTED[0], "few", names),  # Not open data: not counted.
    ]
    ours = [
        _difference(0.03, 1e-6, 0.001),
        _difference(-0.01, 0.9, 0.049),
        _difference(0.004, 0.049, 0.05),
        _difference(-0.5, 1.0, 1e-9),
    ]
    diverged = Difference(None, None, None, None, None, None)
    found = {}
    for case, each in zip(cases, ours, strict=True):
        found[place_of(case, RECOMMENDED)] = each
        found[place_of(case, ALONE)] = diverged
        found[place_of(case, "choice: soft")] = each
    table = summary_table(cases, found, OPEN_SETS)
    assert [[cell.text for cell in row] for row in table.rows] == [
        [RECOMMENDED, "+0.40", "−1.00 to +3.00", "1", "1", "2"],
        [ALONE, "—", "—", "0", "0", "0"],
    ]
    assert "in 3 cases" in table.caption
    assert summary_table(cases[3:], found, OPEN_SETS) is None
