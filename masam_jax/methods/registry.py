"""The registry of methods, and the grammar of their specifications on the command line.

A specification is ``name[:option=value,...]``, as in ``masam:rho=12,select=all``. A method is a
typed, frozen dataclass of options and at most three parts (see ``methods/method.py``).
"""

import dataclasses
import difflib
import typing
from typing import Any

from masam_jax.methods.method import BoundMethod, Method
from masam_jax.methods.options import write_value

_METHODS: dict[str, Method] = {}


def register(method: Method) -> Method:
    """Adds a method to the registry.

    Raises:
      ValueError: another method has that name.
    """
    if method.name in _METHODS:
        raise ValueError(f"a method named {method.name!r} is registered already")
    _METHODS[method.name] = method
    return method


def method_names() -> tuple[str, ...]:
    """The names of all registered methods, sorted."""
    return tuple(sorted(_METHODS))


def get_method(name: str) -> Method:
    """The registered method of that name.

    Raises:
      ValueError: there is none; the message names the nearest.
    """
    if name not in _METHODS:
        raise ValueError(_unknown("method", name, method_names()))
    return _METHODS[name]


def parse_method(spec: str) -> BoundMethod:
    """Reads ``name[:option=value,...]``.

    Args:
      spec: for example ``"late_fusion"`` or ``"masam:rho=12,select=all"``. Values are read by
        their option's type; a bool is ``true`` or ``false``.

    Raises:
      ValueError: unknown method or option (with the nearest name), a malformed item, an option
        given twice, or a value that its option does not accept.
    """
    name, colon, rest = spec.strip().partition(":")
    method = get_method(name)
    fields = {field.name: field for field in dataclasses.fields(method.options)}
    types = typing.get_type_hints(method.options)
    values: dict[str, Any] = {}
    if colon and not rest:
        raise ValueError(f"method {spec!r}: nothing after the colon; expected option=value,...")
    for item in rest.split(",") if rest else ():
        option, equals, text = (part.strip() for part in item.partition("="))
        if not equals or not option or not text:
            raise ValueError(f"method {spec!r}: {item!r} is not of the form option=value")
        if option not in fields:
            raise ValueError(f"method {spec!r}: {_unknown('option', option, tuple(fields))}")
        if option in values:
            raise ValueError(f"method {spec!r}: option {option!r} is given twice")
        values[option] = _read(spec, option, text, types[option])
    try:
        options = method.options(**values)
    except ValueError as error:
        raise ValueError(f"method {spec!r}: {error}") from error
    return BoundMethod(method, options, _canonical(method, options))


def _read(spec: str, option: str, text: str, kind: Any) -> Any:
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError(f"method {spec!r}: {option}={text!r} is neither true nor false")
        return text.lower() == "true"
    if typing.get_origin(kind) is typing.Literal:
        choices = typing.get_args(kind)
        if text not in choices:
            raise ValueError(f"method {spec!r}: {_unknown(option, text, choices)}")
        return text
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"method {spec!r}: {option}={text!r} is not a {kind.__name__}") from None


def _canonical(method: Method, options: Any) -> str:
    changed = [
        f"{field.name}={write_value(getattr(options, field.name))}"
        for field in dataclasses.fields(method.options)
        if getattr(options, field.name) != field.default
    ]
    return method.name + (":" + ",".join(changed) if changed else "")


def _unknown(what: str, name: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown {what} {name!r}{hint} (known: {', '.join(known)})"
