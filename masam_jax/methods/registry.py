"""The registry of methods, and the grammar of their specifications on the command line.

A specification is ``name[:option=value,...]``, as in ``masam:rho=12,select=all``. A method is a
typed, frozen dataclass of options and at most three parts (see ``methods/method.py``).
"""

from masam_jax.methods.method import BoundMethod, Method
from masam_jax.methods.option_grammar import (
    cut_specification,
    read_options,
    unknown,
    write_options,
)

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


def parse_method(spec: str) -> BoundMethod:
    """Reads ``name[:option=value,...]``.

    Args:
      spec: for example ``"late_fusion"`` or ``"masam:rho=12,select=all"``. Values are read by
        their option's type; a bool is ``true`` or ``false``.

    Raises:
      ValueError: unknown method or option (with the nearest name), a malformed item, an option
        given twice, or a value that its option does not accept.
    """
    name, text = cut_specification(spec)
    method = get_method(name)
    options = read_options(method.options, text, f"method {spec!r}")
    changed = write_options(options)
    return BoundMethod(method, options, method.name + (f":{changed}" if changed else ""))
