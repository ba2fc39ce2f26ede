"""``--resume DIRECTORY``: a run goes on with the options that it was begun with."""

import dataclasses
import itertools
import shlex
from pathlib import Path
from typing import Any

from masam_jax.cli.commands import Compare, Diagnose, Run, Train, Tune, default_command
from masam_jax.config import InputConfig, experiment_from_json
from masam_jax.config.errors import RunError
from masam_jax.config.published import PublishedSettings
from masam_jax.training.storage.atomic_files import read_json
from masam_jax.training.storage.buckets.bucket import is_bucket
from masam_jax.training.storage.buckets.run_copy import local_copy
from masam_jax.training.storage.run_directory import read_config

_WORD = "--resume"
_KINDS: dict[str, type] = {"train": Train, "compare": Compare, "tune": Tune}


def cut_resumed(words: list[str]) -> tuple[list[str], str | None]:
    """The words with ``--output DIRECTORY --resume`` for ``--resume DIRECTORY``.

    Args:
      words: after the command.

    Returns:
      They, and the directory; None where none follows ``--resume``.

    Raises:
      RunError: ``--output`` names another.
    """
    for place, word in enumerate(words):
        name, equals, value = word.partition("=")
        following = words[place + 1 : place + 2]
        if name != _WORD or not (equals or (following and not following[0].startswith("-"))):
            continue
        directory = value if equals else following[0]
        rest = words[:place] + words[place + (1 if equals else 2) :]
        if any(other.partition("=")[0] == "--output" for other in rest):
            raise RunError(f"--resume {directory} and --output exclude each other; leave one out")
        return [*rest, "--output", directory, _WORD], directory
    return words, None


def resumed_command(kind: type, directory: str) -> Run:
    """The command whose values are those that a run was begun with.

    Args:
      kind: `Train`, `Compare`, `Diagnose` or `Tune`.
      directory: the run directory, or its path in a bucket.

    Raises:
      RunError: no run, one of another kind, or a damaged one.
      BucketError: the bucket cannot be read.
    """
    if is_bucket(directory):
        with local_copy(directory, only=("config.json", "environment.json")) as path:
            return _command_of(kind, path)
    return _command_of(kind, Path(directory))


def _command_of(kind: type, path: Path) -> Run:
    config = read_config(path)
    found = str(config.get("kind"))
    # A diagnosis is a comparison; of which methods, is seen when the run is opened.
    if _KINDS.get(found) is not (Compare if kind is Diagnose else kind):
        raise RunError(
            f"{path} was written by masam {found}; masam {found} --resume {path} goes on with it"
        )
    try:
        experiment = experiment_from_json(config)
        default: Any = default_command(kind, PublishedSettings(experiment))
        default = dataclasses.replace(default, inputs=_inputs(path))
        if kind is Diagnose:
            return default
        if kind is Train:
            return dataclasses.replace(default, method=config["method"])
        default = dataclasses.replace(default, methods=tuple(config["methods"]))
        if kind is Compare:
            return dataclasses.replace(default, baseline=config["baseline"])
        return dataclasses.replace(
            default,
            trials=config["trials"],
            seed_offset=experiment.seeds.seed_offset,
            corruption=experiment.corruption,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path}/config.json is damaged: {error}") from error


def _inputs(path: Path) -> InputConfig:
    """Where the run's data were, and how they were read, from the words that began it."""
    try:
        words = shlex.split(str(read_json(path / "environment.json").get("command", "")))
    except (OSError, RunError, ValueError):
        return InputConfig()
    given: dict[str, Any] = {}
    for field in dataclasses.fields(InputConfig):
        flag = f"--{field.name.replace('_', '-')}"
        for word, following in itertools.pairwise([*words, ""]):
            name, equals, value = word.partition("=")
            if name.replace("_", "-") == flag:
                given[field.name] = value if equals else following
    try:
        given |= {name: int(given[name]) for name in ("workers", "threads") if name in given}
        return InputConfig(**given)
    except ValueError:
        return InputConfig()
