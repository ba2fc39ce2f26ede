"""The study's file: what is read of finished cases, written, merged and concluded from."""

import dataclasses

import pytest

from experiments import study_file
from experiments.paper import FinishedRun, Scale
from experiments.study import EXPERIMENT, findings
from experiments.study_csv import as_csv, read_csv
from experiments.study_measurements import Place, measure_case
from experiments.study_methods import LATE_FUSION, tuned
from masam_jax.analysis.records import read_directory
from masam_jax.config.errors import RunError
from masam_jax.training.storage.atomic_files import write_json
from tests.experiments.fake_runs import fake_run

CASES = ("many labels", "20 percent wrong labels")
BEST = [f"sam:rho=0.{i}" for i in range(1, 1 + len(tuned(False)))]


@pytest.fixture
def output(tmp_path):
    """Two finished cases, one whose comparison is not finished, one whose search is not."""
    place = tmp_path / "output"
    for planned in EXPERIMENT.plan("mfeat", Scale(seeds=3)):
        if len(planned.search.methods) > len(BEST):
            continue  # Factors, whose encoders are measured.
        own = place / "runs" / planned.slug / planned.label
        name = planned.label.removeprefix("study-").replace("-", " ")
        fake_run(own, planned.with_found(BEST))
        if name == "one noisy modality":
            (own / "results.json").unlink()
        if name != "momentum SGD":
            search = own.with_name(f"{own.name}-search")
            search.mkdir()
            write_json(search / "best.json", {"tuned": [{"best": spec} for spec in BEST]})
    return place


@pytest.fixture
def cases(output):
    return study_file.collect(output)


def test_finished_cases_are_collected(cases, output):
    found = {(case.dataset, case.case): case for case in cases}
    assert set(found) == {("mfeat", name) for name in CASES}
    planned = EXPERIMENT.plan("mfeat", Scale(seeds=3))[1].with_found(BEST)
    record = read_directory(output / "runs" / "mfeat" / planned.label)
    assert found["mfeat", CASES[0]] == measure_case(FinishedRun(planned, record))


def test_a_comparison_of_other_methods_is_refused(output):
    best = output / "runs/mfeat/study-many-labels-search/best.json"
    write_json(best, {"tuned": [{"best": spec} for spec in [*BEST[:-1], "sam:rho=7"]]})
    with pytest.raises(RunError, match=r"study-many-labels compares .*'sam:rho=0\.5'.*sam:rho=7"):
        study_file.collect(output)


def test_what_is_written_is_read_again(tmp_path, cases):
    place = Place(LATE_FUSION, "score")
    cases[0].values[place][1] = None
    cases[0].values[Place(LATE_FUSION, "sharpness")] = [float("nan"), 1 / 3]
    path = tmp_path / "measurements.csv"
    path.write_text(as_csv(cases), encoding="utf-8")
    again = read_csv(path)
    assert [case.methods for case in again] == [case.methods for case in cases]
    for ours, theirs in zip(cases, again, strict=True):
        assert (theirs.dataset, theirs.case, theirs.seeds) == (ours.dataset, ours.case, ours.seeds)
        assert list(theirs.values) == list(ours.values)
        for where, values in ours.values.items():
            found = theirs.values[where]
            assert [v is None for v in found] == [v is None for v in values]
            known = [v for v in values if v is not None]
            assert [v for v in found if v is not None] == pytest.approx(
                known, rel=1e-8, nan_ok=True
            )


def test_old_cases_stay_and_new_ones_take_their_places(cases):
    first, second = cases
    newer = measure_newer(first)
    assert study_file.merged([second, first], [newer]) == [newer, second]


def measure_newer(case):
    place = Place(LATE_FUSION, "score")
    return type(case)(
        case.dataset, case.case, case.seeds, case.methods, {**case.values, place: [0.1, 0.2, 0.3]}
    )


def test_the_tables_are_those_of_the_runs(tmp_path, output, cases, capsys):
    path = tmp_path / "measurements.csv"
    study_file.main(["collect", str(output), str(path)])
    assert f"2 cases, 2 of them from {output}" in capsys.readouterr().out
    study_file.main(["tables", str(path), "--output", str(tmp_path / "there")])
    expected = findings(cases)
    assert capsys.readouterr().out.startswith(expected.remarks[0])
    written = (tmp_path / "there/study/tables.md").read_text(encoding="utf-8")
    for table in expected.tables:
        assert table.markdown().strip() in written
    assert (tmp_path / "there/study/plots/study-gains.png").is_file()


_HEAD = "dataset,case,method,specification,measure,modality"


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "begins with"),
        ("method,0,1\n", "begins with"),
        (f"{_HEAD},0\n", "no seeds"),
        (f"{_HEAD},0,0\n", "no seeds"),
        (f"{_HEAD},0,a\n", "no seeds"),
        (f"{_HEAD},0,1\na,b,c,d,score\n", "line 2 has 5"),
        (f"{_HEAD},0,1\n", "has no case"),
        (f"{_HEAD},0,1\na,b,c,d,score,,x,1\n", "line 2: 'x' is not a number"),
        (f"{_HEAD},0,1\na,b,c,d,score,,93.1,1\n", r"score is 93.1; it must lie in 0..1"),
        (f"{_HEAD},0,1\na,b,c,d,score,,nan,1\n", r"score is nan"),
        (f"{_HEAD},0,1\na,b,c,d,scores,,1,1\n", "unknown measure 'scores'"),
        (f"{_HEAD},0,1\na,b,c,d,score,,,1\n", "score needs 2 numbers"),
        (f"{_HEAD},0,1\n" + 2 * "a,b,c,d,score,,1,1\n", "line 3: score of c is there twice"),
        (
            f"{_HEAD},0,1\na,b,c,d,score,,1,1\na,b,c,e,accuracy,,1,1\n",
            "line 3: c is e here and d above",
        ),
        (f"{_HEAD},0,1\na,b,c,d,score,,1,1\n", "the study has no case 'a, b'"),
    ],
)
def test_another_file_is_refused_in_a_line(tmp_path, text, message):
    path = tmp_path / "measurements.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit, match=message) as refused:
        study_file.main(["tables", str(path), "--output", str(tmp_path)])
    assert str(refused.value).startswith("error: ")
    assert "\n" not in str(refused.value)


def test_cases_of_other_seeds_are_refused(cases):
    first, second = cases
    other = type(second)(second.dataset, second.case, (7, 8, 9), second.methods, second.values)
    with pytest.raises(RunError, match=r"20 percent wrong labels has the seeds \(7, 8, 9\)"):
        as_csv([first, other])


@pytest.mark.parametrize(
    "lost, message",
    [
        (("late fusion", "score"), "lacks score of late fusion"),
        (("SAM, tuned", "score"), "lacks score of SAM, tuned"),
        (("modalities alone, averaged", "probe_accuracy"), "lacks probe_accuracy of modalities"),
    ],
)
def test_a_case_that_is_not_whole_is_refused(tmp_path, cases, lost, message):
    path = tmp_path / "measurements.csv"
    first = cases[0]
    values = {place: each for place, each in first.values.items() if place[:2] != lost}
    broken = dataclasses.replace(first, values=values)
    path.write_text(as_csv([broken, *cases[1:]]), encoding="utf-8")
    with pytest.raises(RunError, match=message):
        read_csv(path)


def test_what_is_no_text_is_refused(tmp_path):
    path = tmp_path / "measurements.csv"
    path.write_bytes(b"dataset,\xff\n")
    with pytest.raises(RunError, match="is no table in UTF-8"):
        read_csv(path)
