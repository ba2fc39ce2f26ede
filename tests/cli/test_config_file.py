"""``--config run.toml`` and ``--write-config``: the same command again."""

import dataclasses
import tomllib

import pytest

from masam_jax.cli import command_line as cli
from masam_jax.cli.words import parse
from masam_jax.config.errors import RunError


def _file(tmp_path, text):
    path = tmp_path / "run.toml"
    path.write_text(text)
    return str(path)


def _without_paths(command):
    return dataclasses.replace(command, config=None, write_config=None)


def test_the_file_says_what_words_would(tmp_path):
    path = _file(
        tmp_path,
        'methods = ["late_fusion", "masam:rho=12"]\nsteps = 30\nlearning-rate = 1e-3\n'
        'patience = "none"\ninput_noise = -3\naugment = false\nno_plots = true\n',
    )
    found = parse(["compare", "--config", path, "--seeds", "2"])
    words = (
        "compare --methods late_fusion masam:rho=12 --steps 30 --learning-rate 1e-3 --no-augment"
        " --input-noise -3 --no-plots --seeds 2"
    )
    assert _without_paths(found) == parse(words.split())


def test_the_command_line_overrides_the_file(tmp_path):
    path = _file(tmp_path, 'method = "sam"\nepochs = 3\nwidth = 8\n')
    found = parse(["train", "--width=4", f"--config={path}", "--steps", "7", "--method", "masam"])
    assert found.method == "masam"
    assert (found.experiment.optimization.steps, found.experiment.optimization.epochs) == (7, None)
    assert found.experiment.model.width == 4


def test_the_files_data_set_brings_its_own_defaults(tmp_path):
    path = _file(tmp_path, 'dataset = "crema_d"\n')
    assert parse(["train", "--config", path]).experiment.optimization.epochs == 200


@pytest.mark.parametrize(
    "words",
    [
        "train --method masam:rho=12 --steps 30 --no-augment --patience none --input-noise -3.5",
        "train --dataset crema_d --missing-at-test audio --learning-rate 1e-05",
        "compare --methods late_fusion sam --baseline sam --encoders audio=mlp --loggers csv wandb",
        "compare --dataset crema_d",
        "tune --methods sam --trials 3 --tune-seeds 2 --source /my/files --threads 3",
    ],
)
def test_what_is_written_is_read_as_the_same_command(tmp_path, capsys, words):
    path = tmp_path / "run.toml"
    assert cli.main([*words.split(), "--write-config", str(path)]) == 0
    assert capsys.readouterr().out.startswith(f"written: {path}. Run it with\n  ")
    assert list(tmp_path.iterdir()) == [path]
    kind = words.split()[0]
    assert _without_paths(parse([kind, "--config", str(path)])) == parse(words.split())
    text = path.read_text()
    assert {"output", "resume", "num_processes"}.isdisjoint(tomllib.loads(text))
    assert "# Learning rate" in text


@pytest.mark.parametrize(
    "text, message",
    [
        ("stpes = 3", "run.toml: unknown option 'stpes'; did you mean 'steps'?"),
        ("output = 'here'", "run.toml: unknown option 'output'"),
        ("steps = ", "run.toml is not TOML: "),
        ("steps = [1, 2]", r"run.toml: steps is \[1, 2\]; expected an integer"),
        ("augment = 'no'", "run.toml: augment is 'no'; expected true or false"),
        ("steps = 'many'", "--steps 'many' cannot be read; expected an integer"),
    ],
)
def test_a_file_with_a_mistake(tmp_path, text, message):
    with pytest.raises(RunError, match=message):
        parse(["train", "--config", _file(tmp_path, text)])


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(RunError, match=r"--config no\.toml cannot be read: No such file"):
        parse(["train", "--config", "no.toml"])
    with pytest.raises(RunError, match="--config needs a value"):
        parse(["train", "--config"])
