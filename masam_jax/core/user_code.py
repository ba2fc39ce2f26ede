"""Functions of the user's own, by ``package.module:function``."""

import importlib
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def is_function(place: str) -> bool:
    """Whether a place is ``package.module:function``."""
    return _FUNCTION.fullmatch(place) is not None


def import_function(place: str) -> Callable[..., Any]:
    """Imports a function; modules of the working directory count.

    Args:
      place: ``package.module:function``.

    Raises:
      ValueError: no such module or function, or the module fails.
    """
    if not is_function(place):
        raise ValueError(f"{place!r} is not of the form package.module:function")
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
    function: Any = getattr(found, name, None)
    if not callable(function):
        raise ValueError(f"{place}: module {module!r} has no function {name!r}")
    checked: Callable[..., Any] = function
    return checked


def call_function(place: str, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Calls it; where it fails, the error says where.

    Args:
      place: what it is called, see `import_function`.
      function: the function.
      *arguments: its arguments.
      **named: likewise.

    Raises:
      ValueError: it fails.
    """
    with _working_directory():
        try:
            return function(*arguments, **named)
        except Exception as error:
            raise _failed(place, error) from error


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
