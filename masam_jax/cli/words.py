"""The words of the command line: from them to a command, and back."""

import dataclasses
import inspect
import itertools
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Union, cast, get_args, get_type_hints

import tyro

from masam_jax.cli.commands import (
    COMMANDS,
    Command,
    Compare,
    Train,
    Tune,
    default_command,
)
from masam_jax.cli.dataset_commands import DATASET_COMMANDS, DatasetCommand
from masam_jax.config import OptimizationConfig
from masam_jax.config.published import settings_of
from masam_jax.core.specs import write_value
from masam_jax.data.builders.registry import BUILDERS
from masam_jax.data.shipped import SHIPPED
from masam_jax.methods import get_method, method_names

# The word before those of `DATASET_COMMANDS`.
DATASETS = "datasets"

_DESCRIPTION = (
    "MASAM for multimodal learning: train, compare, tune, evaluate. --version says which."
)
_METHOD_GRAMMAR = "A method is NAME[:OPTION=VALUE,...], as in masam:rho=12,select=all."
_LISTS = (
    "all stands for every method with its defaults, and the ablations of masam; @PATH for what"
    " masam tune --output PATH found."
)
_CONFIG = (tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff)


@dataclasses.dataclass(frozen=True)
class _Datasets:
    """List, prepare, describe and verify data sets."""


def parse(words: list[str]) -> Command | DatasetCommand:
    """The command that the words ask for.

    Args:
      words: after the program's name.

    Raises:
      SystemExit: after printing help (code 0), or what is wrong with the words (code 2).
      ValueError: options that do not go together.
    """
    if words[:1] == [DATASETS]:
        name = words[1] if len(words) > 1 else ""
        if name not in DATASET_COMMANDS:
            return _choose(DATASET_COMMANDS, words[1:], str(_Datasets.__doc__), f" {DATASETS}")
        kind = DATASET_COMMANDS[name]
        return _read(kind, words[:2], words[2:], _about_dataset_command(kind))
    command = COMMANDS.get(words[0]) if words else None
    if command is None:
        return _choose({**COMMANDS, DATASETS: _Datasets}, words, _DESCRIPTION, "")
    return _read(command, words[:1], words[1:], _about_command(command))


def program() -> str:
    """How this program was called, as the user would type it."""
    name = Path(sys.argv[0]).name
    return "python -m masam_jax" if name == "__main__.py" else name


def typed(words: list[str]) -> str:
    """The whole command, as it would be typed into a shell."""
    return f"{program()} {shlex.join(words)}"


def _choose(kinds: Mapping[str, type], words: list[str], about: str, prefix: str) -> Any:
    """Prints the list of commands, or what is wrong with the first word."""
    commands = tuple(Annotated[kind, tyro.conf.subcommand(name)] for name, kind in kinds.items())
    every: Any = Union[commands]  # noqa: UP007
    return tyro.cli(
        every,
        prog=f"{program()}{prefix}",
        description=about,
        args=words or ["-h"],
        config=_CONFIG,
    )


def _read(kind: type, command: list[str], words: list[str], about: str) -> Any:
    prog = " ".join([program(), *command])
    words = _with_none(kind, words)
    settings = settings_of(_dataset(words)) if kind in (Train, Compare, Tune) else None
    default = None if settings is None else default_command(kind, settings)
    if default is not None and _is_given(words, "--steps") and not _is_given(words, "--epochs"):
        default = _in_steps(default)
    found = tyro.cli(
        kind, prog=prog, description=about, args=words, config=_CONFIG, default=default
    )
    if isinstance(found, Train | Compare | Tune) and _is_given(words, "--steps"):
        asked = _optimization(found)
        if asked.epochs is not None:
            raise ValueError(
                f"--steps {asked.steps} and --epochs {asked.epochs} exclude each other"
            )
    return found


def _is_given(words: list[str], name: str) -> bool:
    return any(word.partition("=")[0] == name for word in words)


def _optimization(command: Train | Compare | Tune) -> OptimizationConfig:
    return command.optimization if isinstance(command, Tune) else command.experiment.optimization


def _in_steps(command: Train | Compare | Tune) -> Train | Compare | Tune:
    """The same, whose length is not counted in epochs."""
    optimization = dataclasses.replace(_optimization(command), epochs=None)
    if isinstance(command, Tune):
        return dataclasses.replace(command, optimization=optimization)
    experiment = dataclasses.replace(command.experiment, optimization=optimization)
    return dataclasses.replace(command, experiment=experiment)


def _with_none(kind: type, words: list[str]) -> list[str]:
    """The words with "none" as Python's None, at numbers that may be none."""
    flags = _optional_numbers(kind)
    found = []
    for before, word in itertools.pairwise(["", *words]):
        name, equals, value = word.partition("=")
        if equals and name.replace("_", "-") in flags and value.lower() == "none":
            word = f"{name}=None"
        elif before.replace("_", "-") in flags and word.lower() == "none":
            word = "None"
        found.append(word)
    return found


def _optional_numbers(kind: type) -> set[str]:
    """Flags of the fields, and of those of its sections, that are a number or None."""
    flags: set[str] = set()
    for name, hint in get_type_hints(kind).items():
        accepted = set(get_args(hint))
        if dataclasses.is_dataclass(hint):
            flags |= _optional_numbers(cast(type, hint))
        elif type(None) in accepted and accepted <= {int, float, type(None)}:
            flags.add(f"--{name.replace('_', '-')}")
    return flags


def _dataset(words: list[str]) -> str:
    """The data set that is asked for, which decides the defaults of all other options."""
    found = ""
    for word, following in itertools.pairwise([*words, ""]):
        name, equals, value = word.partition("=")
        if name == "--dataset":
            found = value if equals else following
    return found


def _about_command(kind: type) -> str:
    about = inspect.cleandoc(str(kind.__doc__))
    if kind not in (Train, Compare, Tune):
        return about
    methods = "\n".join(f"  {name:12} {_method_summary(name)}" for name in method_names())
    about += f"\n\nmethods:\n{methods}\n\n{_METHOD_GRAMMAR}"
    return about if kind is Train else f"{about} {_LISTS}"


def _about_dataset_command(kind: type) -> str:
    summaries = {name: entry.summary for name, entry in BUILDERS.items()}
    summaries |= {name: shipped.summary for name, shipped in SHIPPED.items()}
    names = "\n".join(f"  {name:15} {summaries[name]}" for name in sorted(summaries))
    return f"{inspect.cleandoc(str(kind.__doc__))}\n\ndata sets:\n{names}"


def _method_summary(name: str) -> str:
    method = get_method(name)
    options = ", ".join(
        f"{field.name}={write_value(field.default)}" for field in dataclasses.fields(method.options)
    )
    return f"{method.summary}" + (f" [{options}]" if options else "")
