"""The command line starts from what was published for the data set that it names."""

import dataclasses

import pytest

from masam_jax.cli import command_line as cli
from masam_jax.cli import train
from masam_jax.cli.commands import Compare, Train, Tune
from masam_jax.cli.words import parse
from masam_jax.config import Experiment
from masam_jax.config.errors import RunError
from masam_jax.config.published import PublishedSettings, settings_of


@pytest.mark.parametrize(
    "words", [["--dataset", "crema_d:frames=3"], ["--dataset=crema_d:frames=3"]]
)
def test_a_data_set_brings_its_settings(words):
    settings = settings_of("crema_d")
    data = dataclasses.replace(settings.experiment.data, dataset="crema_d:frames=3")
    expected = dataclasses.replace(settings.experiment, data=data)
    assert parse(["train", *words]) == Train(experiment=expected)
    compare = parse(["compare", *words])
    assert compare == Compare(methods=settings.compared, experiment=expected)
    tune = parse(["tune", *words])
    assert isinstance(tune, Tune)
    assert tune.experiment.model == expected.model
    assert tune.experiment.data == data


def test_without_them_it_has_its_own():
    assert parse(["train"]).experiment == Experiment()
    synthetic = parse(["train", "--dataset", "synthetic"]).experiment
    assert dataclasses.replace(synthetic, data=Experiment().data) == Experiment()


def test_what_is_typed_counts_more():
    words = ["train", "--dataset", "ur_funny", "--seeds", "2", "--batch-size", "8", "--epochs"]
    words += ["3", "--encoders", "text=transformer", "--patience", "None", "--report", "last"]
    command = parse([*words, "--label-noise", "0.2", "--missing-at-test", "audio", "text"])
    settings = settings_of("ur_funny").experiment
    found = command.experiment
    assert found.optimization == dataclasses.replace(settings.optimization, batch_size=8, epochs=3)
    assert found.seeds.values == (0, 1)
    assert found.model == dataclasses.replace(settings.model, encoders=("text=transformer",))
    assert (found.evaluation.patience, found.evaluation.report) == (None, "last")
    assert found.corruption.label_noise == 0.2
    assert found.corruption.missing_at_test == ("audio", "text")


@pytest.mark.parametrize(
    "words", [["--steps", "7"], ["--steps=7"], ["--epochs", "None", "--steps", "7"]]
)
@pytest.mark.parametrize("command", ["train", "compare", "tune"])
def test_steps_take_the_place_of_epochs(command, words):
    found = parse([command, "--dataset", "adni", *words])
    optimization = found.optimization if command == "tune" else found.experiment.optimization
    assert (optimization.epochs, optimization.steps) == (None, 7)
    expected = settings_of("adni").experiment.optimization
    assert (
        dataclasses.replace(optimization, epochs=expected.epochs, steps=expected.steps) == expected
    )


@pytest.mark.parametrize(
    "words, methods",
    [
        (["train", "--dataset", "ur_funny"], ["masam:rho=0.5,alpha=0.5,beta=0.9"]),
        (
            ["train", "--dataset", "ur_funny", "--method", "masam:rho=3,select=all"],
            ["masam:rho=3,alpha=0.5,beta=0.9,select=all"],
        ),
        (["train", "--dataset", "crema_d"], ["masam"]),
        (
            ["compare", "--dataset", "crema_d", "--methods", "ogm_ge", "ogm_ge:alpha=0.1", "pmr"],
            [
                "ogm_ge:alpha=0.8,modulation_share=0.5",
                "ogm_ge:alpha=0.1,modulation_share=0.5",
                "pmr:alpha=2,momentum=0,modulation_epochs=71",
            ],
        ),
        (
            ["train", "--dataset", "kinetics_sounds", "--method", "ogm_ge"],
            ["ogm_ge:alpha=0.1,modulation_share=0.5"],
        ),
        (
            ["compare", "--dataset", "mimic_mortality", "--methods", "sam", "masam"],
            ["sam", "masam:rho=0.5,alpha=0.5,beta=0.9"],
        ),
        (["train", "--dataset", "mfeat"], ["masam"]),
    ],
)
def test_methods_get_the_options_that_were_published(monkeypatch, capsys, words, methods):
    asked = []

    def refuse(method, *rest, measurement):
        asked.extend(m.spec for m in (method if isinstance(method, tuple) else [method]))
        raise RunError("far enough")

    monkeypatch.setattr(train, "plan_training", refuse)
    monkeypatch.setattr(train, "plan_comparison", refuse)
    assert cli.main(words) == 2
    assert "far enough" in capsys.readouterr().err
    assert asked == methods


def test_a_run_says_which_options_were_published_and_what_is_idle(monkeypatch, capsys, tmp_path):
    settings = PublishedSettings(Experiment(), methods={"ogm_ge": {"alpha": 0.8}})

    def refuse(plan, *rest):
        assert [method.spec for method in plan.methods] == ["info_reg", "ogm_ge:alpha=0.8"]
        raise RunError("far enough")

    monkeypatch.setattr(train, "settings_of", lambda dataset: settings)
    monkeypatch.setattr(train, "execute", refuse)
    words = ["compare", "--methods", "info_reg", "ogm_ge", "--seeds", "1", "--width", "4"]
    assert cli.main([*words, "--output", str(tmp_path / "run")]) == 2
    said = capsys.readouterr()
    assert "ogm_ge: alpha=0.8, as published for these data." in said.out
    assert "warning: method 'info_reg': an epoch is one step here" in said.out.replace("\n", " ")
    assert "far enough" in said.err


def test_help_shows_the_defaults_of_the_data_set(capsys):
    with pytest.raises(SystemExit):
        cli.main(["train", "--dataset", "crema_d", "--help"])
    output = capsys.readouterr().out
    assert "(crema_d)" in output
    assert "(200)" in output
    with pytest.raises(SystemExit):
        cli.main(["train", "--dataset", "crema_d", "--help-all"])
    output = capsys.readouterr().out
    for text in ("(default: crema_d)", "(default: 200)", "audio=resnet18:project=false"):
        assert text in output


def test_data_that_are_not_there_are_told_with_the_command_that_describes_them(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("MASAM_DATA_DIR", str(tmp_path / "data"))
    output = str(tmp_path / "run")
    assert cli.main(["train", "--dataset", "crema_d", "--output", output]) == 2
    errors = capsys.readouterr().err
    assert "data set 'crema_d' is not prepared in" in errors
    assert "--source DIR" in errors
    assert "masam datasets info crema_d" in errors
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("none", ["none", "None", "NONE"])
def test_none_is_read_as_people_type_it(none):
    words = ["train", "--train-size", none, f"--patience={none}", "--input-noise", none]
    found = parse(words).experiment
    assert found.data.train_size is None
    assert found.evaluation.patience is None
    assert found.corruption.input_noise is None
    # A text may well be called so.
    assert parse(["train", "--output", "none"]).output.output == "none"
