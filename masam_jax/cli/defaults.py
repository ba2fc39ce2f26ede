"""What the options that are not given are; ``none``, and the one length of a run."""

import dataclasses
import itertools
import typing

from masam_jax.cli.commands import Run, Tune, default_command
from masam_jax.cli.options import command_options
from masam_jax.cli.resumed import resumed_command
from masam_jax.config import OptimizationConfig
from masam_jax.config.published import own_settings, settings_of
from masam_jax.data.dataset_spec import is_own


def default_of(kind: type, words: list[str], resumed: str | None = None) -> Run | None:
    """The command whose values are the defaults, where a run or a data set has its own.

    Args:
      kind: the command.
      words: after it; the data set among them.
      resumed: the directory, or the path in a bucket, of the run whose options are the defaults.

    Raises:
      RunError: there is no such run, or it is damaged.
    """
    if kind not in typing.get_args(Run):
        return None
    dataset = _dataset(words)
    settings = own_settings(dataset) if is_own(dataset) else settings_of(dataset)
    if resumed is not None:
        default = resumed_command(kind, resumed)
    elif settings is not None:
        default = default_command(kind, settings)
    else:
        return None
    in_steps = _is_given(words, "--steps") and not _is_given(words, "--epochs")
    return _in_steps(default) if in_steps else default


def refuse_two_lengths(command: object, words: list[str]) -> None:
    """Refuses a length that is given in steps and in epochs.

    Raises:
      ValueError: it is given in both.
    """
    if not isinstance(command, Run) or not _is_given(words, "--steps"):
        return
    asked = _optimization(command)
    if asked.epochs is not None:
        raise ValueError(
            f"--steps {asked.steps} and --epochs {asked.epochs} exclude each other; leave one"
            " of them out"
        )


def with_none(kind: type, words: list[str]) -> list[str]:
    """The words with "none" as Python's None, at numbers that may be none."""
    options = command_options(kind)
    flags = {option.flag for option in options if option.may_be_none and option.number}
    found = []
    for before, word in itertools.pairwise(["", *words]):
        name, equals, value = word.partition("=")
        if equals and name.replace("_", "-") in flags and value.lower() == "none":
            word = f"{name}=None"
        elif before.replace("_", "-") in flags and word.lower() == "none":
            word = "None"
        found.append(word)
    return found


def _is_given(words: list[str], name: str) -> bool:
    return any(word.partition("=")[0] == name for word in words)


def _optimization(command: Run) -> OptimizationConfig:
    return command.optimization if isinstance(command, Tune) else command.experiment.optimization


def _in_steps(command: Run) -> Run:
    """The same, whose length is not counted in epochs."""
    optimization = dataclasses.replace(_optimization(command), epochs=None)
    if isinstance(command, Tune):
        return dataclasses.replace(command, optimization=optimization)
    experiment = dataclasses.replace(command.experiment, optimization=optimization)
    return dataclasses.replace(command, experiment=experiment)


def _dataset(words: list[str]) -> str:
    """The data set that is asked for, which decides the defaults of all other options."""
    found = ""
    for word, following in itertools.pairwise([*words, ""]):
        name, equals, value = word.partition("=")
        if name == "--dataset":
            found = value if equals else following
    return found
