"""The registry of methods, and the grammar of their specifications on the command line.

A specification is ``name[:option=value,...]``, as in ``masam:rho=12,select=all``. A method is a
typed, frozen dataclass of options and at most three parts (see ``methods/method.py``).
"""

from collections.abc import Mapping
from typing import Any

from masam_jax.core.specs import (
    cut_specification,
    named_options,
    read_options,
    unknown,
)
from masam_jax.methods.method import BoundMethod, Method

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
        raise ValueError(unknown("method", name, method_names()))
    return _METHODS[name]


def parse_method(
    spec: str, published: Mapping[str, Mapping[str, Any]] | None = None
) -> BoundMethod:
    """Reads ``name[:option=value,...]``.

    Args:
      spec: for example ``"late_fusion"`` or ``"masam:rho=12,select=all"``. Values are read by
        their option's type; a bool is ``true`` or ``false``.
      published: method -> options in the place of its defaults, where ``spec`` names none.

    Raises:
      ValueError: unknown method or option (with the nearest name), a malformed item, an option
        given twice, or a value that its option does not accept.
    """
    name, text = cut_specification(spec)
    method = get_method(name)
    defaults = method.options(**(published or {}).get(name, {}))
    options = read_options(defaults, text, f"method {spec!r}")
    return BoundMethod(method, options, named_options(spec))
