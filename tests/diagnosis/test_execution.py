"""A small diagnosis, from the command line to its files."""

import json

import jax
import numpy as np
import pytest
from rich.console import Console

from masam_jax.cli import command_line as cli
from masam_jax.config import (
    DataConfig,
    Experiment,
    ModelConfig,
    OptimizationConfig,
    OutputConfig,
    SeedConfig,
)
from masam_jax.config.errors import RunError
from masam_jax.diagnosis import execute_diagnosis, plan_diagnosis
from masam_jax.diagnosis.observations import METHODS
from masam_jax.methods import parse_method
from masam_jax.training.plan import plan_comparison
from masam_jax.training.progress_report import ProgressReport
from masam_jax.training.run import execute
from masam_jax.training.storage.atomic_files import read_json

SMALL = ["--train-size", "24", "--validation-size", "40", "--test-size", "40", "--width", "4"]
SMALL += ["--depth", "1", "--steps", "6", "--batch-size", "12", "--seeds", "2"]


@pytest.fixture(scope="module")
def diagnosed(tmp_path_factory):
    """The directory of a diagnosis, and its words."""
    path = tmp_path_factory.mktemp("diagnosis") / "run"
    words = ["diagnose", "--dataset", "synthetic", *SMALL, "--output", str(path)]
    with jax.numpy_dtype_promotion("standard"):
        assert cli.main(words) == 0
    return path, words


def test_what_a_diagnosis_writes(diagnosed):
    path, _ = diagnosed
    found = read_json(path / "diagnosis.json")
    assert found["verdict"].count(". ") >= 2
    assert isinstance(found["drowned"], list)
    assert sorted(found["modalities"]) == ["m0", "m1", "m2"]
    results = {m["spec"]: m["test"] for m in read_json(path / "results.json")["methods"]}
    assert sorted(results) == sorted(METHODS)
    for m, each in found["modalities"].items():
        alone = np.array(results["unimodal"]["probe_accuracy"][m])
        joint = np.array(results["fusion_only"]["probe_accuracy"][m])
        assert each["alone"] == pytest.approx(alone.mean())
        assert each["joint_probe"] == pytest.approx(joint.mean())
        assert each["difference"] == pytest.approx((joint - alone).mean(), abs=1e-9)
        assert each["interval"][0] <= each["difference"] <= each["interval"][1]
    fusion, best = found["fusion"], found["fusion"]["best"]
    assert fusion["joint"] == pytest.approx(np.mean(results["fusion_only"]["accuracy"]))
    assert fusion["best_alone"] == pytest.approx(
        np.mean(results["unimodal"]["unimodal_accuracy"][best])
    )
    assert fusion["mean_of_alone"] == pytest.approx(np.mean(results["unimodal"]["accuracy"]))


def test_resuming_trains_nothing_and_says_the_same(diagnosed, capsys):
    path, words = diagnosed
    before = (path / "diagnosis.json").read_text(encoding="utf-8")
    (path / "diagnosis.json").unlink()
    with jax.numpy_dtype_promotion("standard"):
        assert cli.main([*words, "--resume"]) == 0
    assert (path / "diagnosis.json").read_text(encoding="utf-8") == before
    assert json.loads(before)["verdict"].split()[0] in capsys.readouterr().out
    assert cli.main(words) == 2
    assert "holds a run already" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words, message",
    [
        (["--dataset", "synthetic:dominance=1"], "synthetic has one modality, m0; a diagnosis"),
        (["--architecture", "early_fusion"], "--architecture early_fusion has one encoder for all"),
        (["--dataset", "synthetic:case=xr"], "case 'xr'; did you mean 'xor'"),
    ],
)
def test_mistakes_at_the_door(words, message, tmp_path, capsys):
    path = tmp_path / "run"
    assert cli.main(["diagnose", *SMALL, *words, "--output", str(path)]) == 2
    assert message in capsys.readouterr().err
    assert not path.exists()


def test_late_fusion_is_watched_and_not_changed(tmp_path):
    experiment = Experiment(
        data=DataConfig("synthetic", train_size=24, validation_size=40, test_size=40),
        model=ModelConfig(width=4, depth=1),
        optimization=OptimizationConfig(steps=6, batch_size=12),
        seeds=SeedConfig(2),
    )
    specs = ("late_fusion", METHODS[-1])
    plan = plan_comparison(tuple(map(parse_method, specs)), None, experiment)
    with jax.numpy_dtype_promotion("standard"):
        path = execute(
            plan, OutputConfig(str(tmp_path / "run")), [], ProgressReport(Console(quiet=True))
        )
    late, watched = (m["test"] for m in read_json(path / "results.json")["methods"])
    np.testing.assert_allclose(watched["fusion_loss"], late["fusion_loss"], rtol=1e-4)
    assert np.all(np.abs(np.subtract(watched["accuracy"], late["accuracy"])) < 0.06)


def test_diverged_seeds_are_left_out(tmp_path):
    experiment = Experiment(
        data=DataConfig("synthetic", train_size=24, validation_size=40, test_size=40),
        model=ModelConfig(width=4, depth=1),
        optimization=OptimizationConfig(steps=6, batch_size=12, learning_rate=1e30),
        seeds=SeedConfig(2),
    )
    with jax.numpy_dtype_promotion("standard"):
        found = execute_diagnosis(plan_diagnosis(experiment), OutputConfig(str(tmp_path / "run")))
    assert (found.seeds, found.diverged) == ((), (0, 1))
    assert found.verdict.startswith("Training diverged with every seed (2).")
    assert [remedy.name for remedy in found.remedies] == ["--learning-rate 1e+29"]


def test_one_modality_is_no_diagnosis():
    experiment = Experiment(data=DataConfig("synthetic:dominance=1"))
    with pytest.raises(RunError, match="a diagnosis needs two"):
        plan_diagnosis(experiment)
