"""Help of one screen, help of everything, and the options that both are made from."""

import re
import shlex
import sys

import pytest

from masam_jax.cli import command_line as cli
from masam_jax.cli.commands import COMMANDS
from masam_jax.cli.dataset_commands import DATASET_COMMANDS
from masam_jax.cli.options import command_options
from masam_jax.cli.short_help import SCREENS
from masam_jax.cli.words import parse

KINDS = {(name,): kind for name, kind in COMMANDS.items()}
KINDS |= {("datasets", name): kind for name, kind in DATASET_COMMANDS.items()}
RUNS = [["train"], ["compare"], ["tune"]]
WHOLE = [[], ["datasets"]]


@pytest.fixture(params=["masam", "/somewhere/masam_jax/__main__.py"])
def called(request, monkeypatch):
    """Called by its script, and by ``python -m``, which makes longer lines."""
    monkeypatch.setattr(sys, "argv", [request.param])
    monkeypatch.setenv("COLUMNS", "80")


def _help(capsys, *words):
    with pytest.raises(SystemExit) as exit_:
        cli.main(list(words))
    assert exit_.value.code == 0
    output, errors = capsys.readouterr()
    assert errors == ""
    return output


@pytest.mark.parametrize("words", [*WHOLE, *map(list, KINDS)], ids=" ".join)
def test_help_is_one_screen(called, capsys, words):
    lines = _help(capsys, *words, "--help").splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= (40 if words in RUNS else 25)
    assert lines[0].startswith("usage: ")
    assert any(line.startswith("see also: ") for line in lines)
    assert "--help-all shows" in " ".join(lines)


@pytest.mark.parametrize("command", KINDS, ids=" ".join)
def test_screens_name_fields_that_are_there(command):
    names = [option.name for option in command_options(KINDS[command])]
    shown = SCREENS[command].options
    assert set(shown) <= set(names)
    assert len(set(shown)) == len(shown)
    assert all(option.help for option in command_options(KINDS[command]))


def test_every_command_has_a_screen():
    assert set(SCREENS) == set(KINDS)


@pytest.mark.parametrize("command", KINDS, ids=" ".join)
def test_examples_are_commands(command):
    assert SCREENS[command].examples
    for example in SCREENS[command].examples:
        assert isinstance(parse(shlex.split(example)), KINDS[command])


@pytest.mark.parametrize("command", KINDS, ids=" ".join)
def test_options_are_those_of_tyro(capsys, monkeypatch, command):
    """The flags, and what stands for their values, that tyro reads off the same fields."""
    monkeypatch.setenv("COLUMNS", "80")
    output = _help(capsys, *command, "--help-all")
    shown_value = r"(\[STR \[STR \.\.\.\]\]|[^\s│]+)"
    rows = re.findall(
        rf"^[│ ] +(--[a-z][a-z-]*)(?: {shown_value})?(?: {{2}}.*| *│?)$", output, re.M
    )
    options = [option for option in command_options(KINDS[command]) if not option.is_positional]
    ours = {
        option.flag: option.placeholder.replace("STR ...", "[STR [STR ...]]") for option in options
    }
    theirs = {flag: re.sub(r"\{None\}\||None,", "", shown) for flag, shown in rows}
    assert theirs.pop("--help", "") == ""
    assert theirs == ours
    for option in command_options(KINDS[command]):
        if option.is_positional:
            assert option.placeholder in output


@pytest.mark.parametrize("words", RUNS, ids=" ".join)
def test_help_says_what_docstrings_and_defaults_say(capsys, words):
    output = _help(capsys, *words, "--help")
    assert re.search(r"--steps INT +Optimizer steps \(600\)\n", output)
    assert "m_sam, masam, mla" in " ".join(output.split())
    output = _help(capsys, *words, "--help-all")
    assert "modality-aware SAM" in output
    assert "(default: 600)" in output
    assert "Optimizer steps; where a data set's settings" in output


@pytest.mark.parametrize(
    "words",
    [
        ["--help", "train"],
        ["train", "-h"],
        ["train", "--steps", "3", "--help"],
        ["train", "--steps", "many", "--help", "--lr", "3"],
        ["train", "--dataset", "--help"],
        ["train", "--help", "--dataset", "mfeet"],
        ["train", "--output", "--help"],
        ["train", "surplus", "--help"],
    ],
    ids=" ".join,
)
def test_help_is_anywhere_and_minds_no_mistakes(capsys, words):
    assert _help(capsys, *words).startswith(_help(capsys, "train", "--help")[:200])
    everything = [word if word not in ("-h", "--help") else "--help-all" for word in words]
    assert "modality-aware SAM" in _help(capsys, *everything)


@pytest.mark.parametrize("words", [[], ["--help"], ["trian", "--help"], ["--steps", "--help"]])
def test_help_of_no_command_lists_them(capsys, words):
    output = _help(capsys, *words)
    assert all(f"\n  {name} " in output for name in [*COMMANDS, "datasets"])
    assert all(f"\n  {name} " in _help(capsys, "datasets") for name in DATASET_COMMANDS)
    everything = [word for word in words if word != "--help"]
    assert "subcommands" in _help(capsys, *everything, "--help-all")
