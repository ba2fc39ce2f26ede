"""A run's losses, parameters and samples, for whatever instrument takes a loss function.

from masam_jax.geometry import hessian_trace
from masam_jax.geometry.of_runs import open_losses

run = open_losses("runs/mine")
for seed in run.seeds:
    params, batches = run.of_seed(seed)
    print(hessian_trace(run.loss("fusion"), params, batches, labels=run.labels, key=key))
"""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any, NamedTuple, get_args

from masam_jax.core.extras import needs

with needs("masam_jax.geometry.of_runs", "train", "analysis"):
    import jax

    from masam_jax.config import InputConfig
    from masam_jax.config.errors import RunError, user_errors
    from masam_jax.core.specs import check_choice, check_number
    from masam_jax.geometry.task_losses import LossInputs, LossOfBatch, TaskLosses
    from masam_jax.training.distribution import Placement, make_placement
    from masam_jax.training.evaluate import SplitName, Which
    from masam_jax.training.parameter_copies import read_copies
    from masam_jax.training.saved_model import SavedModel, open_model
    from masam_jax.training.saved_problem import open_problem
    from masam_jax.training.task import Task


class OfSeed(NamedTuple):
    """What a loss function is called with.

    Attributes:
      params: parameters of one seed, or of all, ``[S, ...]``.
      batches: samples, weighted alike; likewise.
    """

    params: Any
    batches: list[LossInputs]


class RunLosses:
    """The networks of a method's run, and samples that they are measured on; see `open_losses`.

    Attributes:
      spec: the method's specification.
      slug: its name as of a file.
      title: its name as a reader sees it.
      seeds: its seeds, in the order of `of_all_seeds`.
      of_all_seeds: parameters and batches with a leading axis of seeds, for ``vmap``.
    """

    def __init__(self, model: SavedModel, losses: TaskLosses, every: OfSeed) -> None:
        self.spec, self.slug = model.method.spec, model.method.slug
        self.title = model.method.title
        self.seeds = model.seeds
        self.of_all_seeds = every
        self._losses = losses
        self._model = model
        self._shapes = jax.eval_shape(lambda x: x, every.params)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, sorted."""
        return self._losses.modalities

    def labels(self, params: Any) -> Any:
        """Partition labels: a modality's name at its encoder, ``"other"`` everywhere else."""
        return self._losses.labels(params)

    def first(self, count: int) -> RunLosses:
        """The same of the first seeds alone.

        Raises:
          ValueError: the run does not have so many.
        """
        check_number("seeds", count, f"[1, {len(self.seeds)}]", whole=True)
        fewer = copy.copy(self)
        fewer.seeds = self.seeds[:count]
        fewer.of_all_seeds = jax.tree.map(lambda x: x[:count], self.of_all_seeds)
        return fewer

    def of_seed(self, seed: int) -> OfSeed:
        """Parameters and batches of one seed.

        Raises:
          RunError: the run has no such seed.
        """
        position = self.seeds.index(self._known(seed))
        return jax.tree.map(lambda x: x[position], self.of_all_seeds)

    def loss(self, which: str = "fusion") -> LossOfBatch:
        """``(params, batch) -> scalar``, of one seed, as the network predicts.

        Without dropout, and with the running statistics of the checkpoint. One function serves all
        seeds, and is the same at every call, so that it compiles once.

        Args:
          which: ``"fusion"``, the loss of the prediction; a modality's name, the loss of its own
            head; ``"total"``, fusion and λ times all of these, with the method's λ.

        Raises:
          RunError: no such loss.
        """
        with user_errors():
            return self._losses.loss(which)

    def trajectory(self, seed: int) -> dict[int, Any]:
        """Parameters of one seed along training, by step, for `trajectory_plane`.

        Raises:
          RunError: the run has no such seed, or keeps no copies (``--keep-parameters``).
        """
        position = self._model.seeds.index(self._known(seed))
        copies = read_copies(self._model.place, self._shapes)
        if not copies:
            raise RunError(
                f"{self._model.place} keeps no parameters of earlier steps; train with"
                " --keep-parameters EPOCHS"
            )
        return {
            step: jax.tree.map(lambda x: x[position], params) for step, params in copies.items()
        }

    def _known(self, seed: int) -> int:
        if seed not in self.seeds:
            raise RunError(f"seed={seed} is none of the run's: {', '.join(map(str, self.seeds))}")
        return seed

    @property
    def accuracy(self) -> LossOfBatch:
        """``(params, batch) -> share of the samples that the prediction gets right``.

        Raises:
          RunError: the data are for regression.
        """
        with user_errors():
            return self._losses.accuracy

    def features(self, modality: str) -> LossOfBatch:
        """``(params, batch) -> [B, H]``, a modality's features; of tokens, their mean.

        Raises:
          RunError: no such modality.
        """
        with user_errors():
            return self._losses.features(modality)


def open_losses(
    run: str | os.PathLike[str],
    method: str | None = None,
    *,
    split: SplitName = "train",
    samples: int | None = None,
    batch_size: int = 256,
    checkpoint: Which | None = None,
    inputs: InputConfig | None = None,
    fall_back: bool = False,
) -> RunLosses:
    """Opens a run for measuring; it may still be training.

    Everything is on the first device, in memory: all samples asked for as well.

    Args:
      run: a directory that ``masam train`` or ``masam compare`` wrote, or one method's directory
        inside a comparison.
      method: which method of a comparison, as NAME[:OPTION=VALUE,...].
      split: which samples; those of ``"train"`` are with the labels, weights of classes, missing
        modalities and noise that were trained with.
      samples: how many of them, the same at every call; None for all.
      batch_size: at most so many in a batch; see `TaskLosses.inputs`.
      checkpoint: parameters after the last step, or best by validation score per seed; by default
        the ones that the run reports.
      inputs: where data are, and how they are read.
      fall_back: where the last checkpoint is damaged, whether to take the last whole one.

    Raises:
      RunError: no run, no or a damaged checkpoint, a method that the comparison does not have or
        that must be chosen, data that are not there or differ from the run's, or too few of them.
    """
    with user_errors():
        check_choice("checkpoint", checkpoint, (None, *get_args(Which)))
    model = open_model(Path(run), method)
    best = (checkpoint or model.experiment.evaluation.report) == "best"
    point = model.point(best, fall_back)
    problem = open_problem(
        model.root, model.experiment, _first_device, inputs if inputs is not None else InputConfig()
    )
    losses = TaskLosses(Task(problem, model.method))
    with user_errors():
        batches = losses.inputs(point, split, samples=samples, batch_size=batch_size)
    # Uncommitted, so that an instrument may spread its work over devices.
    every = jax.tree.map(jax.numpy.asarray, jax.device_get(OfSeed(point.params, batches)))
    return RunLosses(model, losses, every)


def _first_device(seeds: int, batch_size: int) -> Placement:
    return make_placement(seeds, batch_size, jax.local_devices()[:1])
