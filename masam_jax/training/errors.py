"""Mistakes that a user can mend, told apart from bugs."""

from collections.abc import Iterator
from contextlib import contextmanager


class RunError(Exception):
    """Something the user asked for cannot be done; the message says why and what to do."""


class InterruptedRun(Exception):
    """A signal stopped the run after it was saved.

    Attributes:
      step: the step of the checkpoint that was saved, None between two methods.
      signal_number: the signal.
    """

    def __init__(self, step: int | None, signal_number: int) -> None:
        super().__init__(f"interrupted by signal {signal_number} at step {step}")
        self.step = step
        self.signal_number = signal_number


class PrunedRun(Exception):
    """A run that is not worth finishing, given how others did at the same step."""


@contextmanager
def user_errors() -> Iterator[None]:
    """Turns the ``ValueError`` of a check at the door into a ``RunError``."""
    try:
        yield
    except ValueError as error:
        raise RunError(str(error)) from error
