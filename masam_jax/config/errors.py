"""Mistakes that a user can mend, told apart from bugs."""

from collections.abc import Iterator
from contextlib import contextmanager


class RunError(Exception):
    """Something the user asked for cannot be done; the message says why and what to do."""


@contextmanager
def user_errors() -> Iterator[None]:
    """Turns the ``ValueError`` of a check at the door into a ``RunError``."""
    try:
        yield
    except ValueError as error:
        raise RunError(str(error)) from error
