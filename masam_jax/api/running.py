"""A plan that was made, executed: into a directory that was asked for, or a temporary one."""

import os
import shutil
import tempfile
import warnings
import weakref
from pathlib import Path
from typing import Any

from masam_jax.api.notebook import progress_for
from masam_jax.config import OutputConfig
from masam_jax.training.open_data import describe_damage
from masam_jax.training.plan import Plan
from masam_jax.training.run import execute


class OutputPlace:
    """Where a run goes; a temporary directory goes with this object.

    Attributes:
      path: the directory.
    """

    def __init__(self, output: str | os.PathLike[str] | None) -> None:
        """Of what a caller gave; a temporary one when None."""
        if output is None:
            made = tempfile.mkdtemp(prefix="masam_jax-")
            weakref.finalize(self, shutil.rmtree, made, ignore_errors=True)
            self.path = Path(made) / "run"
        else:
            self.path = Path(output)

    def config(self, resume: bool, overwrite: bool, loggers: tuple[str, ...]) -> OutputConfig:
        """The same as the command line has it."""
        return OutputConfig(
            output=str(self.path), resume=resume, overwrite=overwrite, loggers=loggers
        )


def call_in_words(function: str, data: str, arguments: dict[str, Any]) -> list[str]:
    """A call as ``environment.json`` keeps it."""
    words = [repr(data), *(f"{name}={value!r}" for name, value in arguments.items())]
    return [f"masam_jax.{function}({', '.join(words)})"]


def run_plan(plan: Plan, output: OutputConfig, call: list[str], progress: bool) -> None:
    """Executes a plan; what is odd about the data becomes a warning.

    Args:
      plan: what to train.
      output: where to.
      call: see `call_in_words`.
      progress: whether the course is shown.

    Raises:
      RunError: as `execute`, and so the rest.
    """
    warn_of(plan, depth=4)
    execute(plan, output, call, progress_for(progress))


def warn_of(plan: Plan, depth: int = 3) -> None:
    """What is odd about the data becomes a warning.

    Args:
      plan: what is to be trained.
      depth: how far up the caller is whose line the warning names: by default, of who calls the
        function that calls this one.
    """
    told = [describe_damage(plan.problem.opened), *plan.warnings]
    for text in filter(None, told):
        warnings.warn(text, stacklevel=depth)
