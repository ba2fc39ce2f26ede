"""Keywords with the names of the command line's flags, as the settings of a run."""

import dataclasses
import difflib
import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple

from masam_jax.api.in_memory_name import dataset_name
from masam_jax.config import Experiment, InputConfig
from masam_jax.config.published import PublishedSettings, own_settings, settings_of
from masam_jax.data.dataset_spec import is_own
from masam_jax.data.in_memory import MultimodalData
from masam_jax.data.on_disk import Data

_OF_EXPERIMENT = tuple(field.name for field in dataclasses.fields(Experiment))


class RunSettings(NamedTuple):
    """What a run is told beside its methods.

    Attributes:
      experiment: everything that the numbers depend on.
      inputs: where data are, and how they are read.
      loggers: where metrics go beside ``metrics.jsonl``.
      published: what a data set starts from; None for those that have the package's defaults.
      data: the data set, where it was given and not named.
    """

    experiment: Experiment
    inputs: InputConfig
    loggers: tuple[str, ...]
    published: PublishedSettings | None
    data: Data | None


def run_settings(function: str, data: str | Data, keywords: Mapping[str, Any]) -> RunSettings:
    """The settings that a function's data and keywords stand for.

    Args:
      function: its name, for errors.
      data: the data set, or what ``--dataset`` takes.
      keywords: values of options, by the names of their flags with ``_`` for ``-``; of those that
        take several words a list, one word, or a dict for ``NAME=VALUE``. What is not named is as
        the command line has it for these data.

    Raises:
      TypeError: a keyword that is no option, with the nearest one.
      ValueError: a value out of range.
    """
    spec = data if isinstance(data, str) else dataset_name(data)
    own = isinstance(data, MultimodalData) or is_own(spec)
    published = own_settings(spec) if own else settings_of(spec)
    start = Experiment() if published is None else published.experiment
    start = dataclasses.replace(start, data=dataclasses.replace(start.data, dataset=spec))
    sections: dict[str, Any] = {name: getattr(start, name) for name in _OF_EXPERIMENT}
    sections["inputs"] = InputConfig()
    rest = dict(keywords)
    loggers = rest.pop("loggers", ("tensorboard",))
    if rest.get("steps") is not None and rest.get("epochs") is not None:
        raise ValueError(
            f"steps={rest['steps']} and epochs={rest['epochs']} exclude each other; leave one out"
        )
    if rest.get("steps") is not None:
        rest["epochs"] = None
    for name, section in sections.items():
        known = {field.name for field in dataclasses.fields(section)} - {"dataset"}
        named = {
            key: _plain(rest.pop(key), getattr(section, key)) for key in list(rest) if key in known
        }
        sections[name] = dataclasses.replace(section, **named)
    if rest:
        every = [f.name for section in sections.values() for f in dataclasses.fields(section)]
        raise TypeError(_unexpected(function, next(iter(rest)), every))
    inputs = sections.pop("inputs")
    words = (loggers,) if isinstance(loggers, str) else tuple(loggers)
    given = None if isinstance(data, str) else data
    return RunSettings(Experiment(**sections), inputs, words, published, given)


def _plain(value: Any, default: Any) -> Any:
    if inspect.isfunction(value):  # A network of one's own.
        return f"{value.__module__}:{value.__qualname__}"
    if isinstance(default, tuple) and isinstance(value, str):  # One word of several.
        return (value,)
    if isinstance(default, tuple) and isinstance(value, Mapping):
        return tuple(f"{name}={each}" for name, each in value.items())
    return tuple(value) if isinstance(value, list) else value


def _unexpected(function: str, name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, [*known, "loggers"], 1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; they are the flags of masam {function}"
    return f"{function}() got an unexpected keyword argument {name!r}{hint}"
