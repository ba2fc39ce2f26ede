"""Runs of any kind on one page."""

import json

import pytest

from masam_jax.analysis.joined_runs import join_runs
from masam_jax.analysis.ranks import compare_ranks
from masam_jax.analysis.records import read_directory
from masam_jax.analysis.result_page import save_result_page
from masam_jax.analysis.statistics import paired_test, summarize
from masam_jax.cli import command_line as cli
from tests.analysis.fake_directories import METHODS, fake_result, write_comparison, write_run


def _comparison(place, dataset, shift=0.0, methods=METHODS):
    shifted = [(spec, title, score + shift * i, False) for i, (spec, title, score, _) in
               enumerate(methods)]  # fmt: skip
    directory = write_comparison(place, seeds=4, methods=shifted)
    _change(directory / "results.json", dataset=dataset)
    return directory


def _change(path, **content):
    path.write_text(json.dumps({**json.loads(path.read_text()), **content}), encoding="utf-8")


def _single(place, spec, title, scores, **config):
    directory = write_run(place, fake_result(spec, title, scores), [])
    _change(directory / "config.json", data={"dataset": "mfeat"}, **config)
    return directory


def test_methods_go_down_and_data_sets_across(tmp_path):
    places = [
        _comparison(tmp_path / name, name, shift)
        for name, shift in (("digits", 0.0), ("leaves", 0.01), ("words", -0.02))
    ]
    page = join_runs(places)
    scores, differences, ranks, runs = page.tables
    assert scores.headings == ("Method", *(f"{p.name}, test accuracy" for p in places))
    assert [row[0].text for row in scores.rows] == [title for _, title, _, _ in METHODS]
    record = read_directory(places[1])
    own = record.scores(record.methods[2])
    assert scores.rows[2][2].numbers["mean"] == summarize(own).mean
    test = paired_test(own, record.scores(record.baseline))
    found = differences.rows[1][2].numbers
    assert found["mean"] == test.mean_difference
    assert (found["low"], found["high"]) == pytest.approx(test.interval())
    # The baseline's own row would say nothing.
    assert [row[0].text for row in differences.rows] == [title for _, title, _, _ in METHODS[1:]]
    means = [[row[place].numbers["mean"] for place in (1, 2, 3)] for row in scores.rows]
    expected = compare_ranks(means)
    found = {row[0].text: row[1].numbers[""] for row in ranks.rows}
    assert found == {title: expected.mean_ranks[i] for i, (_, title, _, _) in enumerate(METHODS)}
    assert len(runs.rows) == 3
    assert page.plots[0].name == "ranks"
    assert len(page.plots) == 4
    assert page.remarks[0].startswith("Over 3 data sets the methods' ranks ")


def test_single_runs_of_one_experiment_share_a_column(tmp_path):
    late = _single(tmp_path / "a", "late_fusion", "Late fusion", [0.8, 0.9])
    masam = _single(tmp_path / "b", "masam", "MASAM", [0.85, 0.9])
    page = join_runs([masam, late])
    scores, differences, _ = page.tables
    assert scores.headings == ("Method", "mfeat, test accuracy")
    assert [row[0].text for row in scores.rows] == ["MASAM", "Late fusion"]
    assert differences.headings[1] == "mfeat, test accuracy, to Late fusion"
    assert differences.rows[0][1].numbers["mean"] == pytest.approx(0.025)


def test_other_settings_and_the_same_method_twice_are_columns_of_their_own(tmp_path):
    one = _single(tmp_path / "a", "masam", "MASAM", [0.8, 0.9])
    again = _single(tmp_path / "b", "masam", "MASAM", [0.7, 0.8])
    noisy = _single(
        tmp_path / "c", "late_fusion", "Late", [0.5, 0.5], corruption={"label_noise": 0.4}
    )
    headings = join_runs([one, again, noisy]).tables[0].headings
    assert headings == ("Method", *(f"mfeat, test accuracy ({name})" for name in "abc"))


def test_what_a_run_lacks_is_a_dash(tmp_path):
    first = _comparison(tmp_path / "a", "digits", methods=METHODS[:2])
    second = _comparison(tmp_path / "b", "leaves", methods=(METHODS[0], METHODS[2]))
    scores = join_runs([first, second]).tables[0]
    assert [[cell.text == "—" for cell in row[1:]] for row in scores.rows] == [
        [False, False],
        [False, True],
        [True, False],
    ]


def test_the_command_writes_the_page(tmp_path, capsys):
    run = _comparison(tmp_path / "run", "digits")
    output = tmp_path / "joined"
    assert cli.main(["report", str(run), "--output", str(output)]) == 0
    assert f"written: {output / 'report.html'}" in capsys.readouterr().out
    assert "Late fusion" in (output / "report.html").read_text(encoding="utf-8")
    assert (output / "scores.tex").is_file()
    # What a report left there is replaced.
    assert cli.main(["report", str(run), "--output", str(output)]) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no run is named; at least one is needed"),
        (["nowhere"], "nowhere holds neither results.json"),
        (["{run}", "{run}"], "is named twice; once is enough"),
        (["{run}", "--output", "{run}"], "is a run's directory; give another --output"),
    ],
)
def test_mistakes_are_a_line(tmp_path, capsys, words, said):
    run = _comparison(tmp_path / "run", "digits")
    assert cli.main(["report", *(word.format(run=run) for word in words)]) == 2
    assert said in capsys.readouterr().err


def test_pages_are_written_in_every_form(tmp_path):
    page = join_runs([_comparison(tmp_path / "run", "digits")], "masam report run")
    save_result_page(page, tmp_path / "page")
    assert {p.name for p in (tmp_path / "page").glob("*.csv")} == {
        f"{table.name}.csv" for table in page.tables
    }
