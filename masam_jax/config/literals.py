"""Choices of a configuration, checked where no command line has done it."""

import dataclasses
import typing
from typing import Any, Literal

from masam_jax.core.validation import check_choice


def check_literals(config: Any) -> None:
    """Checks every field of a dataclass whose type is a ``Literal``.

    Raises:
      ValueError: a value is none of the accepted ones.
    """
    hints = typing.get_type_hints(type(config))
    for field in dataclasses.fields(config):
        if typing.get_origin(hints[field.name]) is Literal:
            accepted = typing.get_args(hints[field.name])
            check_choice(field.name, getattr(config, field.name), accepted)
