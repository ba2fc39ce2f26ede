"""Words to a dataclass by tyro, whose refusals are exceptions here instead of boxes."""

import contextlib
import io
import sys
from collections.abc import Sequence
from typing import Any

import tyro

from masam_jax.cli.mistakes import flattened

_CONFIG = (tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff)


class Refusal(Exception):
    """tyro does not accept the words; what it says of that is the message."""


def read_words(
    kind: Any, words: Sequence[str], prog: str, about: str, default: Any | None = None
) -> Any:
    """The dataclass that the words ask for.

    Args:
      kind: the dataclass, or a union of them.
      words: after the command; ``--help`` among them prints everything.
      prog: the words of the command.
      about: what begins the help.
      default: an instance whose values are the defaults.

    Raises:
      Refusal: the words are not accepted.
      SystemExit: after printing help, with code 0.
    """
    messages: list[str] = []
    with io.StringIO() as said:
        try:
            with contextlib.redirect_stderr(said), _listening(messages):
                found = tyro.cli(
                    kind,
                    prog=prog,
                    description=about,
                    args=list(words),
                    config=_CONFIG,
                    default=tyro.MISSING_NONPROP if default is None else default,
                )
        except SystemExit as error:
            if not error.code:
                raise
            raise Refusal(messages[0] if messages else flattened(said.getvalue())) from None
        sys.stderr.write(said.getvalue())
    return found


@contextlib.contextmanager
def _listening(messages: list[str]) -> Any:
    """Collects the messages of checks, which a box would break into lines.

    tyro's hook for that is not public: where it is gone, the box's text has to do.
    """

    def listen(event: Any, /) -> None:
        message = getattr(event, "message", None)
        if isinstance(message, str):
            messages.append(message)

    register = getattr(getattr(tyro, "_errors", None), "on_parse_error", None)
    with contextlib.nullcontext() if register is None else register(listen):
        yield
