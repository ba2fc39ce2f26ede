"""The grammar of options in specifications: ``name[:option=value,...]``.

Options are the fields of a frozen dataclass. Values are read by their field's type: a number, a
word, ``true`` or ``false``, one of a ``Literal``'s words, ``none`` where the type has ``None``, and
several numbers with ``/`` between them, as in ``2/1/0.5``.
"""

import dataclasses
import difflib
import types
import typing
from typing import Any

from masam_jax.methods.options import write_value


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


def read_options(options: type, text: str | None, what: str) -> Any:
    """Reads ``option=value,...``.

    Args:
      options: the dataclass of options; all its fields have defaults.
      text: what follows the colon of a specification; None for the defaults.
      what: the start of messages, such as ``"method 'masam:rho=12'"``.

    Returns:
      an instance of ``options``.

    Raises:
      ValueError: an unknown option (with the nearest name), a malformed item, an option given
        twice, or a value that its option does not accept.
    """
    kinds = settable_options(options)
    values: dict[str, Any] = {}
    if text == "":
        raise ValueError(f"{what}: nothing after the colon; expected option=value,...")
    for item in text.split(",") if text else ():
        option, equals, value = (part.strip() for part in item.partition("="))
        if not equals or not option or not value:
            raise ValueError(f"{what}: {item!r} is not of the form option=value")
        if option not in kinds:
            raise ValueError(f"{what}: {unknown('option', option, tuple(kinds))}")
        if option in values:
            raise ValueError(f"{what}: option {option!r} is given twice")
        try:
            values[option] = _read(option, value, kinds[option])
        except ValueError as error:
            raise ValueError(f"{what}: {error}") from None
    try:
        return options(**values)
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from error


def write_options(options: Any) -> str:
    """Those options that differ from their defaults, as `read_options` reads them."""
    return ",".join(
        f"{field.name}={write_value(getattr(options, field.name))}"
        for field in dataclasses.fields(options)
        if getattr(options, field.name) != field.default
    )


def settable_options(options: type) -> dict[str, Any]:
    """Names and types of the fields that the grammar can write."""
    kinds = typing.get_type_hints(options)
    names = [field.name for field in dataclasses.fields(options)]
    return {name: kinds[name] for name in names if _is_settable(kinds[name])}


def unknown(what: str, name: str, known: tuple[str, ...]) -> str:
    """Words for a name that is none of those known, with the nearest of them."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown {what} {name!r}{hint} (known: {', '.join(known) or 'none'})"


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
