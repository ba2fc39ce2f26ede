"""``--config run.toml``: options from a file, which the command line overrides."""

import dataclasses
import itertools
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from masam_jax.cli.options import Option
from masam_jax.config import DistributionConfig, OutputConfig
from masam_jax.config.errors import RunError
from masam_jax.core.specs import unknown
from masam_jax.training.storage.atomic_files import write_text

_WORD = "--config"
# Of two of these, at most one counts.
_LENGTHS = ("--steps", "--epochs")
_NOT_OF_A_FILE = {"config", "write_config"} | {
    field.name
    for kind in (OutputConfig, DistributionConfig)
    for field in dataclasses.fields(kind)
    if field.name not in ("no_plots", "loggers")
}


def with_file(words: list[str], options: Sequence[Option]) -> list[str]:
    """The words, with those that a file says before them.

    Args:
      words: after the command; an option that is among them overrides the file.
      options: those of the command.

    Raises:
      RunError: no such file, no TOML, or an option that there is not.
    """
    paths = [
        word.partition("=")[2] if "=" in word else following
        for word, following in itertools.pairwise([*words, ""])
        if word.partition("=")[0] == _WORD
    ]
    if not paths or not paths[-1]:
        return words
    content = _read(Path(paths[-1]))
    known = {option.name: option for option in options if option.name not in _NOT_OF_A_FILE}
    given = {word.partition("=")[0].replace("_", "-") for word in words}
    given |= set(_LENGTHS) if given & set(_LENGTHS) else set()
    found: list[str] = []
    for name, value in content.items():
        option = known.get(name.replace("-", "_"))
        if option is None:
            raise RunError(f"{paths[-1]}: {unknown('option', name, known)}")
        flag = f"--{option.name.replace('_', '-')}"
        if not given & {flag, option.flag}:
            found += _as_words(option, value, paths[-1])
    return [*found, *words]


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunError(f"--config {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RunError(f"--config {path} is not TOML: {error}") from error


def _as_words(option: Option, value: Any, path: str) -> list[str]:
    if not option.takes_value:
        if not isinstance(value, bool):
            raise RunError(f"{path}: {option.name} is {value!r}; expected true or false")
        return [option.flag] if value != option.default else []
    if isinstance(value, list) and option.takes_several:
        return [option.flag, *map(_as_word, value)] if value else []
    if isinstance(value, list | dict | bool):
        raise RunError(f"{path}: {option.name} is {value!r}; expected {option.accepted}")
    return [option.flag, _as_word(value)]


def _as_word(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


def write_file(path: Path, command: Any, options: Sequence[Option]) -> None:
    """Writes every option of a command, with what it means, for ``--config``.

    Where the run goes, and which processes take part, is left to the command line.

    Args:
      path: of the file, which is made or replaced.
      command: the command.
      options: those of the command, in their order.

    Raises:
      OSError: it cannot be written.
    """
    values, lines = _values(command), []
    if values["epochs"] is not None:
        del values["steps"]
    for option in options:
        if option.name in _NOT_OF_A_FILE or option.name not in values:
            continue
        value = values[option.name]
        if value is None and not (option.may_be_none and option.number):
            continue  # TOML has no word for nothing.
        lines += [f"# {option.help}", f"{option.name} = {_toml(value)}", ""]
    write_text(path, "\n".join(lines))


def _values(section: Any) -> dict[str, Any]:
    """The fields of a command and of its sections."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(section):
        value = getattr(section, field.name)
        found |= _values(value) if dataclasses.is_dataclass(value) else {field.name: value}
    return found


def _toml(value: Any) -> str:
    if value is None:
        return '"none"'
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, float):
        return repr(value)  # JSON spells inf and nan otherwise.
    # TOML's strings, integers and truth values are written as JSON's.
    return json.dumps(value, ensure_ascii=False)
