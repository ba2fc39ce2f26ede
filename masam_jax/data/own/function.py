"""``package.module:function`` that returns a `MultimodalData`."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from masam_jax.data.in_memory import MultimodalData


def call_function(place: str) -> MultimodalData:
    """Imports and calls a function without arguments; modules of the working directory count.

    Args:
      place: ``package.module:function``.

    Raises:
      ValueError: no such module or function, it fails, or returns anything else.
    """
    module, _, name = place.partition(":")
    with _working_directory():
        try:
            found = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if not module.startswith(str(error.name)):
                raise _failed(place, error) from error
            raise ValueError(
                f"{place}: there is no module {error.name!r}, here or installed"
            ) from error
        except Exception as error:
            raise _failed(place, error) from error
        function = getattr(found, name, None)
        if not callable(function):
            raise ValueError(f"{place}: module {module!r} has no function {name!r}")
        try:
            data = function()
        except Exception as error:
            raise _failed(place, error) from error
    if not isinstance(data, MultimodalData):
        raise ValueError(
            f"{place} returned a {type(data).__name__};"
            " masam_jax.data.MultimodalData(features, labels) is needed"
        )
    return data


@contextmanager
def _working_directory() -> Iterator[None]:
    """Lets modules be imported from where the program was started."""
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)


def _failed(place: str, error: Exception) -> ValueError:
    last = traceback.extract_tb(error.__traceback__)[-1]
    words = " ".join(str(error).split())
    return ValueError(
        f"{place} failed: {type(error).__name__}: {words} ({last.filename}, line {last.lineno})"
    )
