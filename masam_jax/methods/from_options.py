"""What follows from a method's dataclass of options: its title, and calls of what takes them."""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any

from masam_jax.core.specs import format_number


def titled(head: str) -> Callable[[Any], str]:
    """``options -> title``, see `title_of`."""
    return functools.partial(title_of, head)


def title_of(head: str, options: Any) -> str:
    """A method's name in tables and plots: ``head``, and the options that are not as usual.

    Each is written as its `masam_jax.core.specs.option` says, with commas between them; one whose
    pattern begins with a space has none before it.

    Args:
      head: the method's own name.
      options: its options.
    """
    title = head
    for field in dataclasses.fields(options):
        value, pattern = getattr(options, field.name), field.metadata.get("title")
        if pattern == "" or (value == field.default and not field.metadata.get("always")):
            continue
        if pattern is None:
            pattern = f"{field.name}={{}}"
        part = pattern(value) if callable(pattern) else pattern.format(format_number(value))
        if not part.startswith(" "):
            part = f" {part}" if title == head else f", {part}"
        title += part
    return title


def built_by(factory: Callable[..., Any]) -> Callable[[Any, Any, Any], Any]:
    """``(options, labels, context) -> tx``: calls the factory of a transformation, see `call`."""
    return functools.partial(_build, factory)


def _build(factory: Callable[..., Any], options: Any, labels: Any, context: Any) -> Any:
    return call(factory, options, context, labels=labels)


def call(factory: Callable[..., Any], options: Any, context: Any, **further: Any) -> Any:
    """Calls ``factory`` with what has the names of its parameters.

    Args:
      factory: a function or a class.
      options: its fields are taken by their names.
      context: a `masam_jax.methods.Context`, likewise.
      **further: arguments that are neither, or come before both.
    """
    known = {
        **{name: getattr(context, name) for name in context._fields},
        **{field.name: getattr(options, field.name) for field in dataclasses.fields(options)},
        **further,
    }
    parameters = inspect.signature(factory).parameters
    return factory(**{name: value for name, value in known.items() if name in parameters})
