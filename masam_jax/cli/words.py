"""The words of the command line: from them to a command, and back."""

import dataclasses
import inspect
import shlex
import sys
import typing
from pathlib import Path
from typing import Annotated, Any, Union

import tyro

from masam_jax.cli.commands import (
    COMMANDS,
    Command,
    Compare,
    Run,
    Train,
    Tune,
)
from masam_jax.cli.config_file import with_file
from masam_jax.cli.dataset_commands import DATASET_COMMANDS, DatasetCommand
from masam_jax.cli.defaults import default_of, refuse_two_lengths, with_none
from masam_jax.cli.mistakes import first_mistake, in_flags
from masam_jax.cli.options import command_options
from masam_jax.cli.resumed import cut_resumed
from masam_jax.cli.short_help import command_help, list_help
from masam_jax.cli.tyro_reading import Refusal, read_words
from masam_jax.config.errors import RunError
from masam_jax.core.specs import unknown, write_value
from masam_jax.data.builders.registry import BUILDERS
from masam_jax.data.shipped import SHIPPED
from masam_jax.methods import get_method, method_names

# The word before those of `DATASET_COMMANDS`.
DATASETS = "datasets"

_DESCRIPTION = "MASAM for multimodal learning: diagnose, train, compare, tune, evaluate, predict."
# The commands that are told methods.
_WITH_METHODS = (Train, Compare, Tune)
_METHOD_GRAMMAR = "A method is NAME[:OPTION=VALUE,...], as in masam:rho=12,select=all."
_LISTS = (
    "all stands for every method with its defaults, and the ablations of masam; @PATH for what"
    " masam tune --output PATH found."
)
_SEE_ALSO = "--version; docs/command_line.md, README.md"
_HELP, _HELP_ALL = ("-h", "--help"), "--help-all"


@dataclasses.dataclass(frozen=True)
class _Datasets:
    """List, prepare, describe and verify data sets."""


def parse(words: list[str]) -> Command | DatasetCommand:
    """The command that the words ask for.

    Args:
      words: after the program's name; ``--help`` or ``--help-all`` anywhere among them is help.

    Raises:
      SystemExit: after printing help, with code 0.
      RunError: words that no command accepts; the message is one line.
      ValueError: options that do not go together.
    """
    asked = [word for word in words if _is_help(word)]
    rest = [word for word in words if not _is_help(word)]
    command, kind = spoken(rest), _kind(spoken(rest))
    rest = rest[len(command) :]
    if asked or (not rest and kind is None):
        _help(command, kind, rest, everything=any(word not in _HELP for word in asked))
        raise SystemExit(0)
    if kind is None:
        known = DATASET_COMMANDS if command else {**COMMANDS, DATASETS: _Datasets}
        first = rest[0]
        if first.startswith("-"):
            listed = ", ".join(known)
            raise RunError(f"{first} comes before a command; expected one of {listed} first")
        raise RunError(unknown("command", first, known))
    return _read(kind, command, rest)


def spoken(words: list[str]) -> tuple[str, ...]:
    """The words at the beginning that name a command, such as ``datasets prepare``."""
    known = words[:1] == [DATASETS] and words[1:2] and words[1] in DATASET_COMMANDS
    if known:
        return tuple(words[:2])
    return tuple(word for word in words[:1] if word in COMMANDS or word == DATASETS)


def as_typed(message: str, words: list[str]) -> str:
    """A message about the words of a command, in which fields are named as they are typed."""
    kind = _kind(spoken(words))
    return message if kind is None else in_flags(message, command_options(kind))


def program() -> str:
    """How this program was called, as the user would type it."""
    name = Path(sys.argv[0]).name
    return "python -m masam_jax" if name == "__main__.py" else name


def typed(words: list[str]) -> str:
    """The whole command, as it would be typed into a shell."""
    return f"{program()} {shlex.join(words)}"


def _is_help(word: str) -> bool:
    return word in _HELP or word.replace("_", "-") == _HELP_ALL


def _kind(command: tuple[str, ...]) -> type[Command | DatasetCommand] | None:
    if command[:1] == (DATASETS,):
        return DATASET_COMMANDS.get(command[1]) if command[1:] else None
    return COMMANDS.get(command[0]) if command else None


def _help(command: tuple[str, ...], kind: type | None, words: list[str], everything: bool) -> None:
    """Prints help, of the data set that the words name; mistakes in the words are no matter."""
    if kind is None:
        kinds = DATASET_COMMANDS if command else {**COMMANDS, DATASETS: _Datasets}
        about = str(_Datasets.__doc__) if command else _DESCRIPTION
        if everything:
            every: Any = Union[  # noqa: UP007
                tuple(Annotated[each, tyro.conf.subcommand(n)] for n, each in kinds.items())
            ]
            read_words(every, ["--help"], " ".join([program(), *command]), about)
        see_also = "docs/datasets.md" if command else _SEE_ALSO
        print(list_help(program(), command, about, kinds, see_also))
        return
    default = default_of(kind, words)
    if everything:
        about = _about_command(kind) if command[0] in COMMANDS else _about_dataset_command(kind)
        read_words(kind, ["--help"], " ".join([program(), *command]), about, default)
    names = {}
    if kind in _WITH_METHODS:
        names["methods"] = method_names()
    elif command[0] == DATASETS and command[1:] != ("list",):
        names["data sets"] = tuple(sorted({*BUILDERS, *SHIPPED}))
    print(command_help(program(), command, kind, command_options(kind, default), names))


def _read(kind: type, command: tuple[str, ...], words: list[str]) -> Any:
    resumed = None
    if kind in typing.get_args(Run):
        words, resumed = cut_resumed(words)
        # The file may name the data set, and that the defaults.
        default = default_of(kind, with_file(words, command_options(kind)), resumed)
        words = with_file(words, command_options(kind, default))
    words = with_none(kind, words)
    default = default_of(kind, words, resumed)
    try:
        found = read_words(kind, words, " ".join([program(), *command]), "", default)
    except Refusal as error:
        raise RunError(first_mistake(command_options(kind), words) or str(error)) from None
    refuse_two_lengths(found, words)
    return found


def _about_command(kind: type) -> str:
    about = inspect.cleandoc(str(kind.__doc__))
    if kind not in _WITH_METHODS:
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
