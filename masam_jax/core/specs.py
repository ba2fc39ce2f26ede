"""Specifications, ``name[:option=value,...]``: options read, written, named and checked.

Options are the fields of a frozen dataclass. Values are read by their field's type: a number, a
word, ``true`` or ``false``, one of a ``Literal``'s words, ``none`` where the type has ``None``, and
several numbers with ``/`` between them, as in ``2/1/0.5``. What a number may be is an interval in
the notation of mathematics, such as ``"[0, 1)"`` or ``"(0, inf)"``.
"""

import dataclasses
import difflib
import types
import typing
from collections.abc import Callable, Collection, Iterable
from typing import Any

import jax
import numpy as np


def cut_specification(spec: str) -> tuple[str, str | None]:
    """The name, and what follows the colon; None where there is no colon.

    Examples:
      >>> cut_specification("masam:rho=12")
      ('masam', 'rho=12')
      >>> cut_specification("masam")
      ('masam', None)
    """
    name, colon, rest = spec.strip().partition(":")
    return name, rest if colon else None


def read_options(defaults: Any, text: str | None, what: str) -> Any:
    """Reads ``option=value,...``.

    Args:
      defaults: the options where ``text`` does not name them: an instance of their dataclass.
      text: what follows the colon of a specification; None for the defaults.
      what: the start of messages, such as ``"method 'masam:rho=12'"``.

    Returns:
      Options, of the class of ``defaults``.

    Raises:
      ValueError: an unknown option (with the nearest name), a malformed item, an option given
        twice, or a value that its option does not accept.
    """
    kinds = settable_options(type(defaults))
    values: dict[str, Any] = {}
    if text == "":
        raise ValueError(f"{what}: nothing after the colon; expected option=value,...")
    for item in text.split(",") if text else ():
        option, equals, value = (part.strip() for part in item.partition("="))
        if not equals or not option or not value:
            raise ValueError(f"{what}: {item!r} is not of the form option=value")
        if option not in kinds:
            raise ValueError(f"{what}: {unknown('option', option, kinds)}")
        if option in values:
            raise ValueError(f"{what}: option {option!r} is given twice")
        try:
            values[option] = _read(option, value, kinds[option])
        except ValueError as error:
            raise ValueError(f"{what}: {error}") from None
    try:
        return dataclasses.replace(defaults, **values)
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from error


def named_options(spec: str) -> frozenset[str]:
    """The options that a specification names, at their defaults or not."""
    items = (cut_specification(spec)[1] or "").split(",")
    return frozenset(item.partition("=")[0].strip() for item in items if item)


def write_options(options: Any) -> str:
    """Those options that differ from their defaults, as `read_options` reads them."""
    return ",".join(f"{name}={write_value(value)}" for name, value in changed_options(options))


def changed_options(options: Any) -> list[tuple[str, Any]]:
    """Names and values of the options that differ from their defaults, in their order."""
    values = [(field, getattr(options, field.name)) for field in dataclasses.fields(options)]
    return [(field.name, value) for field, value in values if value != field.default]


def settable_options(options: type) -> dict[str, Any]:
    """Names and types of the fields that the grammar can write."""
    kinds = typing.get_type_hints(options)
    names = [field.name for field in dataclasses.fields(options)]
    return {name: kinds[name] for name in names if _is_settable(kinds[name])}


def write_value(value: object) -> str:
    """An option's value as specifications write it."""
    if isinstance(value, tuple):
        return "/".join(write_value(part) for part in value)
    return str(value).lower() if isinstance(value, bool | None) else format_number(value)


def format_number(value: object) -> str:
    """A number as people write it: ``12`` rather than ``12.0``; anything else as ``str``."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def unknown(what: str, name: object, known: Iterable[str]) -> str:
    """Words for a name that is none of those known, with the nearest of them.

    Examples:
      >>> unknown("method", "masm", ["late_fusion", "masam"])
      "unknown method 'masm'; did you mean 'masam'? (known: late_fusion, masam)"
    """
    names = tuple(known)
    near = nearest(name, names)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown {what} {name!r}{hint} (known: {', '.join(names) or 'none'})"


def nearest(name: object, known: Iterable[str], count: int = 1) -> list[str]:
    """At most ``count`` of the known names, those that are much like ``name``."""
    names = list(known)
    for spelling in (str(name), str(name).lower()):
        if found := difflib.get_close_matches(spelling, names, n=count):
            return found
    return []


def option(
    default: Any,
    accepted: str = "",
    title: str | Callable[[Any], str] | None = None,
    *,
    always: bool = False,
) -> Any:
    """A field of a dataclass of options, with what `check_options` and titles need to know of it.

    Args:
      default: its value where it is not given.
      accepted: the interval that a number must lie in; empty for any.
      title: how a title writes the value, as in ``"ρ={}"``: a pattern, or a function of it; empty
        for an option that no title shows, and ``"name={}"`` when None.
      always: whether titles show it at its default too.
    """
    metadata = {"accepted": accepted, "title": title, "always": always}
    return dataclasses.field(default=default, metadata=metadata)


class Options:
    """A dataclass of options that checks itself, see `check_options`."""

    def __post_init__(self) -> None:
        check_options(self)


def check_options(options: Any) -> None:
    """Checks every field of a dataclass: numbers by their `option`, words by their ``Literal``.

    Raises:
      ValueError: a value is not accepted; the message names the field, the value and what is.
    """
    kinds = typing.get_type_hints(type(options))
    for field in dataclasses.fields(options):
        value, kind = getattr(options, field.name), kinds[field.name]
        if value is None and _is_optional(kind):
            continue
        if typing.get_origin(kind) is typing.Literal:
            check_choice(field.name, value, typing.get_args(kind))
        accepted = field.metadata.get("accepted")
        whole = kind is int or int in typing.get_args(kind)
        if accepted and not _fits(value, accepted, whole):
            words = _in_words(accepted, whole)
            raise ValueError(f"{field.name}={value} is out of range: expected {words}")


def check_number(name: str, value: Any, accepted: str, *, whole: bool = False) -> None:
    """Raises ``ValueError`` unless a value is a number in an interval, or traced.

    Args:
      name: what the message calls it.
      value: the value.
      accepted: the interval.
      whole: whether it must be an integer.
    """
    if not _fits(value, accepted, whole):
        raise ValueError(f"{name} must be {_in_words(accepted, whole)}, got {value!r}")


def check_sizes(**sizes: int) -> None:
    """Raises ``ValueError`` unless every size is an integer >= 1."""
    for name, value in sizes.items():
        check_number(name, value, "[1, inf)", whole=True)


def check_optional_sizes(**sizes: int | None) -> None:
    """`check_sizes` of those that are not None."""
    check_sizes(**{name: value for name, value in sizes.items() if value is not None})


def check_radius(rho: Any) -> None:
    """Raises ``ValueError`` unless ``rho`` is a schedule, or a finite number of at least 0."""
    if not callable(rho) and not _fits(rho, "[0, inf)", False):
        raise ValueError(f"rho must be a schedule or a finite number >= 0, got {rho!r}")


def check_choice(name: str, value: Any, accepted: Collection[Any]) -> None:
    """Raises ``ValueError`` unless ``value`` is one of ``accepted``."""
    if value not in accepted:
        raise ValueError(f"{name} must be one of {list(accepted)}, got {value!r}")


def check_flag(name: str, value: Any) -> None:
    """Raises ``ValueError`` unless ``value`` is True or False."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False, got {value!r}")


def _fits(value: Any, accepted: str, whole: bool) -> bool:
    """Whether a value is traced, or a number in the interval."""
    if isinstance(value, jax.core.Tracer):
        return True
    kinds = (int, np.integer) if whole else (int, float, np.number, np.ndarray, jax.Array)
    if isinstance(value, bool) or not isinstance(value, kinds) or np.ndim(value):
        return False
    low, high = (float(end) for end in accepted[1:-1].split(","))
    number = int(value) if whole else float(value)
    above = low <= number if accepted[0] == "[" else low < number
    return above and (number <= high if accepted[-1] == "]" else number < high)


def _in_words(accepted: str, whole: bool) -> str:
    low, high = (end.strip() for end in accepted[1:-1].split(","))
    if high != "inf":
        return f"{'an integer' if whole else 'a number'} in {accepted}"
    if low == "-inf":
        return "a finite number"
    sign = ">=" if accepted[0] == "[" else ">"
    return f"{'an integer' if whole else 'a finite number'} {sign} {low}"


def _read(option: str, text: str, kind: Any) -> Any:
    if _is_optional(kind):
        (kind,) = (part for part in typing.get_args(kind) if part is not type(None))
        return None if text.lower() == "none" else _read(option, text, kind)
    if typing.get_origin(kind) is tuple:
        return tuple(_read(option, part, typing.get_args(kind)[0]) for part in text.split("/"))
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError(f"{option}={text!r} is neither true nor false")
        return text.lower() == "true"
    if typing.get_origin(kind) is typing.Literal:
        choices = typing.get_args(kind)
        if text not in choices:
            raise ValueError(unknown(option, text, choices))
        return text
    try:
        return kind(text)
    except ValueError:
        article = "an" if kind.__name__[0] in "aeiou" else "a"
        raise ValueError(f"{option}={text!r} is not {article} {kind.__name__}") from None


def _is_settable(kind: Any) -> bool:
    arguments = typing.get_args(kind)
    if _is_optional(kind):
        return all(part is type(None) or _is_settable(part) for part in arguments)
    if typing.get_origin(kind) is tuple:
        return len(arguments) == 2 and arguments[0] in (int, float) and arguments[1] is Ellipsis
    return isinstance(kind, type) or typing.get_origin(kind) is typing.Literal


def _is_optional(kind: Any) -> bool:
    """Whether a type is ``X | None``."""
    is_union = typing.get_origin(kind) in (types.UnionType, typing.Union)
    arguments = typing.get_args(kind)
    return is_union and len(arguments) == 2 and type(None) in arguments
