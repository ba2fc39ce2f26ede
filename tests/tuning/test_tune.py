"""Tuning on a small problem: what it writes, and that an interruption changes nothing."""

import os
import signal

import jax
import pytest

from masam_jax.cli.commands import Compare, Tune
from masam_jax.config import (
    DataConfig,
    EvaluationConfig,
    Experiment,
    ModelConfig,
    OptimizationConfig,
    OutputConfig,
    SeedConfig,
)
from masam_jax.config.errors import RunError
from masam_jax.methods import parse_method
from masam_jax.training.interrupt import InterruptedRun, InterruptRequest
from masam_jax.training.plan import plan_comparison
from masam_jax.training.problem import Problem
from masam_jax.training.storage.atomic_files import read_json
from masam_jax.tuning import trials
from masam_jax.tuning.study import PrunedRun
from masam_jax.tuning.tune import execute_tuning, plan_tuning

METHODS = ("fusion_only", "late_fusion")


def _plan(methods=METHODS, trials=3, report_split="validation"):
    return plan_tuning(
        tuple(map(parse_method, methods)),
        trials,
        Experiment(
            data=DataConfig("synthetic", train_size=12, validation_size=40, test_size=40),
            model=ModelConfig(width=4, depth=1),
            optimization=OptimizationConfig(steps=4, batch_size=6),
            seeds=SeedConfig(2, 100),
            evaluation=EvaluationConfig(evaluate_every=2, report_split=report_split),
        ),
    )


def _tune(path, announce=lambda line: None, resume=False):
    output = OutputConfig(str(path), resume=resume)
    return execute_tuning(_plan(), output, ["masam", "tune"], announce)


def _fake_training(task, directory, config, *, predict, progress, interrupt, on_evaluation):
    """Stands for train_method where only the order of things matters."""
    (directory / "checkpoints").mkdir()
    final = 0.9 if task.method.spec == "fusion_only" else 0.5 / task.method.loss_weight
    for step in (2, 4):
        on_evaluation(step, final * step)
        if interrupt.signal_number is not None and step < 4:
            raise InterruptedRun(step, interrupt.signal_number)
    return {"validation": {"accuracy": [final, final]}}


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """The directory of a tuning, its ``best.json``, its lines, and the splits that it looked at."""
    lines, asked = [], set()
    indices = Problem.indices

    def watched(problem, split):
        asked.add(split)
        return indices(problem, split)

    with pytest.MonkeyPatch.context() as patch, jax.numpy_dtype_promotion("standard"):
        patch.setattr(Problem, "indices", watched)
        path, best = _tune(tmp_path_factory.mktemp("tuning") / "whole", lines.append)
    return path, best, lines, asked


@pytest.fixture
def undisturbed(tmp_path, monkeypatch):
    """``best.json`` and the lines of a tuning with fake training, which stays in place."""
    monkeypatch.setattr(trials, "train_method", _fake_training)
    lines = []
    _, best = _tune(tmp_path / "undisturbed", lines.append)
    return best, lines


def test_what_a_tuning_writes(tuned):
    path, best, lines, _ = tuned
    assert read_json(path / "best.json") == best
    names = {"config.json", "environment.json", "splits.json", "study.db", "best.json", ".lock"}
    assert {entry.name for entry in path.iterdir()} == names, "no checkpoint stays"
    assert (best["trials"], best["seeds"], best["dataset"]) == (3, [100, 101], "synthetic")
    assert best["methods"][0] == "fusion_only"
    assert best["experiment"]["evaluation"]["report_split"] == "validation"
    assert [row["trials"] for row in best["tuned"]] == [1, 3]
    for row, spec in zip(best["tuned"], best["methods"], strict=True):
        assert row["best"] == spec
        mean = sum(row["best_score"]) / 2
        assert best["score"][spec] == mean >= sum(row["default_score"]) / 2
    assert [line.split("  ")[0] for line in lines] == [
        "fusion_only 1/1",
        *(f"late_fusion {number}/3" for number in (1, 2, 3)),
    ]


def test_test_samples_are_never_predicted(tuned):
    assert tuned[3] == {"validation"}


def test_interrupted_between_trials(undisturbed, tmp_path):
    lines = []

    def announce(line):
        lines.append(line)
        if len(lines) == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(InterruptedRun) as raised:
        _tune(tmp_path / "parts", announce)
    assert raised.value.signal_number == signal.SIGTERM
    assert len(lines) == 2
    _, best = _tune(tmp_path / "parts", lines.append, resume=True)
    assert (best, lines) == undisturbed
    _tune(tmp_path / "parts", lines.append, resume=True)
    assert len(lines) == 4, "a finished tuning trains nothing"


def test_interrupted_in_a_trial(undisturbed, tmp_path, monkeypatch):
    def interrupted(task, *args, on_evaluation, **options):
        def on_first(step, score):
            on_evaluation(step, score)
            if task.method.spec == "late_fusion":
                os.kill(os.getpid(), signal.SIGINT)

        return _fake_training(task, *args, on_evaluation=on_first, **options)

    path = tmp_path / "parts"
    lines = []
    with monkeypatch.context() as patch:
        patch.setattr(trials, "train_method", interrupted)
        with pytest.raises(InterruptedRun) as raised:
            _tune(path, lines.append)
    assert raised.value.step is None
    assert not (path / "trial").exists()
    # As a session leaves it that was killed rather than stopped.
    (path / "trial" / "checkpoints").mkdir(parents=True)
    _, best = _tune(path, lines.append, resume=True)
    assert (best, lines) == undisturbed
    assert not (path / "trial").exists()


def test_mistakes_at_the_door():
    with pytest.raises(RunError, match="trials=0 is out of range"):
        _plan(trials=0)
    with pytest.raises(RunError, match="report_split must be validation"):
        _plan(report_split="test")
    with pytest.raises(RunError, match="'late_fusion' is given twice"):
        _plan(("late_fusion", "late_fusion"))
    for name in ("trials", "tune_seeds"):
        with pytest.raises(ValueError, match=f"{name}=0 is out of range"):
            Tune(**{name: 0})


def test_what_is_asked_by_default_leaves_the_seeds_of_the_comparison_alone():
    seeds = Tune().experiment.seeds.values
    assert not set(seeds) & set(Compare().experiment.seeds.values)
    assert Tune().experiment.evaluation.report_split == "validation"


def test_tuned_late_fusion_is_a_baseline():
    specs = ("fusion_only", "late_fusion:weight=0.5", "late_fusion:weight=2")
    experiment = _plan().problem.experiment
    plan = plan_comparison(tuple(map(parse_method, specs)), None, experiment)
    assert plan.baseline.spec == "late_fusion:weight=0.5"
    with pytest.raises(RunError, match="baseline 'sam' is not among the methods: fusion_only, "):
        plan_comparison(plan.methods, parse_method("sam"), experiment)


def test_resuming_with_another_budget_or_search_is_refused(tuned):
    path = tuned[0]
    output = OutputConfig(str(path), resume=True)
    with pytest.raises(RunError, match=r"trials: 3 -> 4"):
        execute_tuning(_plan(trials=4), output, [], lambda line: None)
    named = _plan(("fusion_only", "late_fusion:weight=1"))
    with pytest.raises(RunError, match=r"search.late_fusion.weight: .* -> None"):
        execute_tuning(named, output, [], lambda line: None)
    with pytest.raises(RunError, match="holds a run already"):
        execute_tuning(_plan(), OutputConfig(str(path)), [], lambda line: None)


def test_a_pruned_trial_ends_there_and_leaves_nothing(tmp_path):
    def prune(step, score):
        assert step == 2
        assert 0 <= score <= 1
        raise PrunedRun

    one = trials.Trials(_plan().problem, tmp_path / "trial", InterruptRequest())
    with jax.numpy_dtype_promotion("standard"), pytest.raises(PrunedRun):
        one.train(parse_method("fusion_only"), prune)
    assert not list(tmp_path.iterdir())
