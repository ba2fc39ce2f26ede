"""Copies of the parameters along training, for the plane in which they moved."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from masam_jax.config.errors import RunError
from masam_jax.core.partition import path_name
from masam_jax.training.storage.processes import is_primary
from masam_jax.training.storage.sealed_files import read_arrays, write_arrays
from masam_jax.training.task import Task

_FOLDER = "parameters"


class ParameterCopies:
    """Keeps ``parameters/STEP.npz`` of a method's run; nothing where none are asked for.

    A run that is killed and goes on writes the copies after its checkpoint once more, with the same
    content.

    Attributes:
      every: steps between two of them, None for none.
    """

    def __init__(self, task: Task, directory: Path) -> None:
        """Of a method, whose directory exists."""
        epochs = task.problem.experiment.evaluation.keep_parameters
        self.every = None if epochs is None else epochs * task.steps_per_epoch
        self._folder = directory / _FOLDER
        self._placement = task.problem.placement

    def __call__(self, step: int, params: Any, finished: bool) -> float:
        """Keeps a copy where one is due: at first, every so many epochs, and at the end.

        Args:
          step: steps done.
          params: parameters, ``[S, ...]``.
          finished: whether that was the last step.

        Returns:
          The seconds that it took.

        Raises:
          OSError: it could not be written.
        """
        if self.every is None or (step % self.every and not finished):
            return 0.0
        begin = time.perf_counter()
        arrays = {
            path_name(path): np.asarray(leaf)
            for path, leaf in jax.tree.leaves_with_path(self._placement.fetch(params))
        }
        if is_primary():
            self._folder.mkdir(exist_ok=True)
            write_arrays(self._folder / f"{step}.npz", arrays)
        return time.perf_counter() - begin


def read_copies(directory: Path, like: Any) -> dict[int, Any]:
    """The copies of a method's run, by step.

    Args:
      directory: the method's.
      like: its parameters ``[S, ...]``.

    Returns:
      Trees like the parameters, of NumPy arrays; none where the run keeps none.

    Raises:
      RunError: a file is damaged, or of another network.
    """
    paths, structure = jax.tree.flatten_with_path(like)
    wanted = {path_name(path): leaf.shape for path, leaf in paths}
    found = {}
    for file in sorted((directory / _FOLDER).glob("*.npz"), key=lambda file: int(file.stem)):
        arrays = read_arrays(file)
        if {name: array.shape for name, array in arrays.items()} != wanted:
            raise RunError(f"{file} holds parameters of another network")
        found[int(file.stem)] = jax.tree.unflatten(structure, [arrays[name] for name in wanted])
    return found
