"""What ``--methods`` accepts beside specifications: ``all``, and the methods of a tuning."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from masam_jax.config import OutputConfig
from masam_jax.config.errors import RunError, user_errors
from masam_jax.methods import BoundMethod, method_names, parse_method
from masam_jax.training.storage.run_directory import read_config
from masam_jax.tuning.best_file import best_file, read_best

# Methods of one file that differ in more than a number, and so count as methods of their own.
ABLATIONS = {
    "masam": (
        "masam:select=all",
        "masam:select=random",
        "masam:scale_by_alignment=false",
    ),
}

Published = Mapping[str, Mapping[str, Any]]


def recorded_methods(output: OutputConfig) -> frozenset[str]:
    """The methods of the run that is resumed, as it wrote them; none of any other.

    They name every option that is not its method's default, whatever was published for the data.
    """
    if not output.resume or output.output is None:
        return frozenset()
    try:
        config = read_config(Path(output.output))
    except RunError:  # Told where the run is opened.
        return frozenset()
    found = [config.get("method"), *(config.get("methods") or ())]
    return frozenset(spec for spec in found if isinstance(spec, str))


def bind_method(
    word: str, published: Published | None = None, recorded: Collection[str] = ()
) -> BoundMethod:
    """The method that a word names.

    Args:
      word: ``NAME[:OPTION=VALUE,...]``.
      published: method -> the options that were published for the data at hand.
      recorded: of `recorded_methods`, which take none of these.

    Raises:
      RunError: an unknown method or option, or a value that it does not accept.
    """
    with user_errors():
        return parse_method(word, None if word in recorded else published)


def expand_methods(
    words: Sequence[str], published: Published | None = None, recorded: Collection[str] = ()
) -> tuple[BoundMethod, ...]:
    """The methods that the words after ``--methods`` name.

    ``all`` is every registered method with its defaults, and the ablations of MASAM. ``@PATH`` is
    what a tuning found best: the path of its directory, or of the ``best.json`` in it. A method
    of theirs that is on the list already, or is named on its own, is not repeated.

    Args:
      words: each ``NAME[:OPTION=VALUE,...]``, ``all`` or ``@PATH``.
      published: see `bind_method`; what a tuning found has its own options.
      recorded: likewise.

    Raises:
      RunError: as `bind_method`, or a file that is missing or damaged.
    """
    listed = {word: _listed(word, published, recorded) for word in words if _is_list(word)}
    named = {word: bind_method(word, published, recorded) for word in words if word not in listed}
    known = {method.spec for method in named.values()}
    methods: list[BoundMethod] = []
    for word in words:
        if word in named:
            methods.append(named[word])
        else:
            methods += [method for method in listed[word] if method.spec not in known]
            known |= {method.spec for method in listed[word]}
    return tuple(methods)


def _is_list(word: str) -> bool:
    return word == "all" or word.startswith("@")


def _listed(word: str, published: Published | None, recorded: Collection[str]) -> list[BoundMethod]:
    if word == "all":
        every = [spec for name in method_names() for spec in (name, *ABLATIONS.get(name, ()))]
        return [bind_method(spec, published, recorded) for spec in every]
    path = best_file(word[1:])
    specs = read_best(path)
    try:
        found = [bind_method(spec) for spec in specs]
    except RunError as error:
        raise RunError(f"{path}: {error}") from error
    return list({method.spec: method for method in found}.values())
