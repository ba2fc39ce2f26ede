"""Experiments: found by name, trained once, written in every form."""

import json

import pytest
from rich.console import Console

import masam_jax
from experiments import catalog, conduct, data_at_hand
from experiments.conduct import Asked
from experiments.paper import Findings, PaperExperiment, PlannedRun, PlannedSearch, Scale
from experiments.radii import ROWS, ablation
from masam_jax.analysis.result_table import score_table
from masam_jax.cli import command_line as cli
from masam_jax.config.errors import RunError
from masam_jax.methods import parse_method

DATA = "synthetic:case=xor,samples=90"
OPTIONS = {"train_size": 20, "validation_size": 20, "test_size": 50, "batch_size": 20, "width": 2}
QUIET = Console(quiet=True)


def _plan(dataset, scale):
    options = {**scale.options(dataset), **OPTIONS}
    return [PlannedRun(dataset, "both", {"late fusion": "late_fusion", "own": "masam"}, options)]


def _conclude(runs, scale):
    scores = {name: {DATA: run.summary(name)} for run in runs for name in run.planned.methods}
    return Findings(("Said.",), (score_table("scores", "Scores", scores),))


SMALL = PaperExperiment("small", "Does it run?", _plan, _conclude)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    output = tmp_path_factory.mktemp("experiments")
    conduct.conduct(SMALL, _asked(output), QUIET)
    return output


def _asked(output, **changes):
    return Asked((DATA,), Scale(**{"seeds": 2, "steps": 2, **changes}), output, "masam experiment")


def test_what_is_written(place):
    names = {path.name for path in (place / "small").iterdir()}
    assert names == {"report.html", "tables.md", "scores.csv", "scores.tex"}
    page = (place / "small" / "report.html").read_text(encoding="utf-8")
    assert "Does it run?" in page
    assert "Said." in page


def test_finished_runs_are_not_trained_again(place, monkeypatch):
    monkeypatch.setattr(conduct, "execute", None)
    before = (place / "small" / "scores.csv").read_bytes()
    conduct.conduct(SMALL, _asked(place), QUIET)
    assert (place / "small" / "scores.csv").read_bytes() == before


def test_a_run_that_was_killed_goes_on(place, monkeypatch):
    (run,) = (place / "runs").glob("*/both")
    (run / "results.json").rename(run / "results.json.kept")
    trained = []
    execute = conduct.execute
    monkeypatch.setattr(
        conduct, "execute", lambda *rest: trained.append(rest[1].resume) or execute(*rest)
    )
    conduct.conduct(SMALL, _asked(place), QUIET)
    assert trained == [True]
    assert (run / "results.json").read_bytes() == (run / "results.json.kept").read_bytes()


def _plan_with_search(dataset, scale):
    options = {**scale.options(dataset), **OPTIONS}
    search = PlannedSearch({"tuned": "masam:alpha=0.8,beta=0.91,weight=1"}, trials=2, seeds=1)
    return [PlannedRun(dataset, "searched", {"late fusion": "late_fusion"}, options, search)]


def test_options_are_searched_once_before_they_are_compared(tmp_path, monkeypatch):
    concluded = []
    searched = PaperExperiment(
        "searched", "?", _plan_with_search, lambda runs, scale: concluded.extend(runs) or Findings()
    )
    conduct.conduct(searched, _asked(tmp_path), QUIET)
    (best,) = tmp_path.glob("runs/*/searched-search/best.json")
    (found,) = json.loads(best.read_text())["tuned"]
    (run,) = concluded
    assert run.planned.methods == {"late fusion": "late_fusion", "tuned": found["best"]}
    assert found["trials"] == 2
    assert len(run.scores("tuned")) == 2
    splits = json.loads(best.with_name("splits.json").read_text())
    assert list(splits["seeds"]) == ["10000"]
    assert "validation" in best.with_name("config.json").read_text()

    monkeypatch.setattr(conduct, "execute", None)
    conduct.conduct(searched, _asked(tmp_path), QUIET)
    assert concluded[1].planned == run.planned


def test_a_search_that_finds_the_defaults_is_no_second_run():
    (planned,) = _plan_with_search("mfeat", Scale())
    same = planned.with_found(["late_fusion"])
    assert same.specifications == ("late_fusion",)
    assert same.methods == {"late fusion": "late_fusion", "tuned": "late_fusion"}
    assert planned.content["search"]["trials"] == 2


def test_runs_of_other_settings_are_not_taken_for_these(place):
    with pytest.raises(RunError, match=r"other settings \(options.seeds: 2 -> 3\); give another"):
        conduct.conduct(SMALL, _asked(place, seeds=3), QUIET)


def test_experiments_have_names_questions_and_plans():
    asked = catalog.questions()
    assert list(asked) == [*catalog.NAMES, *catalog.FURTHER]
    assert len(set(asked.values())) == len(asked)
    assert all(len(question) <= 80 and question.endswith("?") for question in asked.values())
    for name in asked:
        for dataset in ("mfeat", "synthetic:case=competition", "crema_d"):
            for scale in (Scale(), Scale(quick=True)):
                runs = catalog.find(name).plan(dataset, scale)
                assert len({run.label for run in runs}) == len(runs)
                for run in runs:
                    assert run.dataset == dataset
                    assert "/" not in run.slug + run.label
                    assert json.loads(json.dumps(run.content)) == run.content
                    assert [parse_method(spec) for spec in run.methods.values()]


def test_runs_of_one_label_are_the_same_in_all_experiments():
    for dataset in ("mfeat", "crema_d"):
        for scale in (Scale(), Scale(quick=True)):
            found = {}
            for name in catalog.NAMES:
                for run in catalog.find(name).plan(dataset, scale):
                    assert found.setdefault(run.label, run.content) == run.content, run.label


def test_shipped_data_are_taken_where_nothing_published_is_there(tmp_path, monkeypatch):
    monkeypatch.setenv("MASAM_DATA_DIR", str(tmp_path))
    names, said = data_at_hand.choose_datasets((), quick=False)
    assert names == data_at_hand.SHIPPED
    assert said.startswith(f"None of the published data is prepared in {tmp_path}")
    monkeypatch.setattr(data_at_hand, "_is_prepared", lambda name: name in ("food101", "adni"))
    assert data_at_hand.choose_datasets((), quick=False) == (("adni", "food101"), "")
    assert data_at_hand.choose_datasets(("mfeat", "mfeat"), quick=True) == (("mfeat",), "")
    with pytest.raises(RunError, match="unknown dataset 'mfet'; did you mean 'mfeat'"):
        data_at_hand.choose_datasets(("mfet",), quick=False)


@pytest.mark.parametrize("dataset", ["mfeat", "synthetic", "crema_d", "table.npz"])
def test_the_rows_of_the_ablation_are_methods(dataset):
    rows = ablation(dataset)
    assert set(rows) == set(ROWS)
    assert next(iter(rows)) == "late fusion"
    assert parse_method(rows["w/o APS"]).options.select == "all"
    assert not parse_method(rows["w/o MDPS"]).options.scale_by_alignment


def test_the_command_lists_them(capsys):
    assert cli.main(["experiment"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [*catalog.NAMES, *catalog.FURTHER]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ablaton"], "unknown experiment 'ablaton'; did you mean 'ablation'?"),
        (["ablation", "--seeds", "0"], "--seeds 0 is out of range; expected an integer >= 1"),
        (["ablation", "--datasets", "mfet"], "unknown dataset 'mfet'; did you mean 'mfeat'?"),
    ],
)
def test_mistakes_are_a_line(capsys, words, said):
    assert cli.main(["experiment", *words]) == 2
    assert capsys.readouterr().err.startswith(f"masam experiment: {said}")


def test_an_installed_package_says_where_the_experiments_are(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(masam_jax, "__file__", str(tmp_path / "masam_jax" / "__init__.py"))
    assert cli.main(["experiment"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("masam experiment: the experiments are in the repository, not in the")
