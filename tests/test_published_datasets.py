"""Every published data set, from its raw files to an evaluated checkpoint, with its own settings.

The files lie where the public release's instructions put them, and the command names nothing but
the data set; sizes of samples and batches, the numbers of steps and seeds, and networks that take
minutes to compile alone are smaller: that a command without those words has the published one is
asserted beside.
"""

import csv
import dataclasses
import json
import subprocess
import sys

import pytest

from masam_jax.cli.words import parse
from masam_jax.config import InputConfig, ModelConfig, OptimizationConfig, SeedConfig, as_json
from masam_jax.config.published import settings_of
from masam_jax.data.builders.registry import BUILDERS, default_source
from masam_jax.methods import parse_method
from tests.data.builders.sources import fixture_spec, make_any_source
from tests.quick_compilation import child_environment
from tests.saved_runs import save_run

PUBLISHED = sorted(set(BUILDERS) - {"av_digits"})
# In place of ResNet-50, of ResNet-18 on 128 x 1024 or a second time, and of three encoders of four
# layers each.
SMALLER = {
    "crema_d": ("--encoders", "audio=conv", "video=resnet18:project=false"),
    "kinetics_sounds": ("--encoders", "audio=conv", "video=resnet18:project=false"),
    "food101": ("--encoders", "image=resnet18", "text=transformer:heads=4"),
    "mimic_mortality": ("--encoders", "cxr=resnet18", "ehr=transformer"),
    "mimic_phenotype": ("--encoders", "cxr=conv", "ehr=transformer"),
    "ur_funny": ("--depth", "1"),
}


# Several commands in one process: importing takes as long as some of them, and so does looking for
# cycles in what tracing makes.
COMMANDS = """
import gc, json, sys
gc.set_threshold(100_000, 20, 50)
from masam_jax.cli.command_line import main
for words in json.loads(sys.argv[1]):
    if code := main(words):
        sys.exit(code)
"""


def _masam(data_dir, *commands):
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, json.dumps(commands)],
        env=child_environment(MASAM_DATA_DIR=str(data_dir)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", PUBLISHED)
def test_from_raw_files_to_an_evaluated_checkpoint(name, tmp_path):
    data_dir, run = tmp_path / "data", tmp_path / "run"
    make_any_source(name, default_source(name, data_dir))
    spec = fixture_spec(name)
    predictions = tmp_path / "predictions.csv"
    tiny = ("--steps", "2", "--seeds", "1", "--batch-size", "4", "--no-plots")
    words = ("train", "--dataset", spec, "--method", "masam", *tiny, "--output", str(run))
    train = (*words, *SMALLER.get(name, ()))
    evaluate = ("evaluate", str(run), "--predictions", str(predictions))
    assert "preparing" in _masam(data_dir, train, evaluate)

    result = json.loads((run / "result.json").read_text())
    config = json.loads((run / "config.json").read_text())
    published = settings_of(name)
    assert config["method"] == parse_method("masam", published.methods).spec
    model = published.experiment.model
    assert parse(words).experiment.model == model
    if name not in SMALLER:
        assert config["model"] == json.loads(json.dumps(as_json(model)))
    assert config["model"]["width"] == model.width
    assert config["optimization"]["learning_rate"] == 1e-4
    assert config["evaluation"]["patience"] == 10
    assert 0 <= result["test"][result["metric"]][0] <= 1
    assert result["test"]["fusion_loss"][0] < 20

    with predictions.open(newline="") as file:
        rows = list(csv.DictReader(file))
    # What the checkpoint predicts is what the run reported.
    hits = [
        sum(a == b for a, b in zip(one, other, strict=True)) / len(one)
        for row in rows
        for one, other in [(row["label"].split("|"), row["prediction"].split("|"))]
    ]
    assert sum(hits) / len(hits) == pytest.approx(result["test"]["accuracy"][0], abs=1e-9)


def test_evaluate_prepares_the_data_where_they_are_not(tmp_path, capsys):
    from masam_jax.cli.command_line import main

    source, run, new = tmp_path / "source", tmp_path / "run", tmp_path / "new"
    make_any_source("adni", source)
    settings = settings_of("adni").experiment
    experiment = dataclasses.replace(
        settings,
        model=ModelConfig(width=4, depth=1),
        seeds=SeedConfig(1),
        optimization=OptimizationConfig(steps=1, batch_size=4),
    )
    there = InputConfig(data_dir=str(tmp_path / "there"), source=str(source))
    save_run(run, ["late_fusion"], experiment, there)
    command = ["evaluate", str(run), "--data-dir", str(new)]
    assert main(command) == 2
    assert "not prepared in" in capsys.readouterr().err
    assert main([*command, "--source", str(source)]) == 0
    assert "late fusion" in capsys.readouterr().out.lower()
    assert (new / "adni").is_dir()


def test_without_its_files_a_data_set_says_what_is_needed(tmp_path, monkeypatch, capsys):
    from masam_jax.cli.command_line import main

    monkeypatch.setenv("MASAM_DATA_DIR", str(tmp_path))
    assert main(["train", "--dataset", "crema_d", "--output", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert "crema_d" in error
    assert str(default_source("crema_d", tmp_path)) in error
    assert "masam datasets info crema_d" in error
    assert not (tmp_path / "run").exists()
