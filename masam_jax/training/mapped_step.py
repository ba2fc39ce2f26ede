"""A step of one seed as the step of all, by ``pmap``: a device's own seeds, or part of a batch."""

from collections.abc import Callable
from typing import Any

import jax

from masam_jax.methods import Objective
from masam_jax.training.distribution import Placement
from masam_jax.training.one_step import Given
from masam_jax.training.over_seeds import SEED_AXES, alone
from masam_jax.training.task import Task

_PARTS = Given(1, None, None, None, None, None, None)


def over_devices(
    step: Callable[..., Any], placement: Placement, num_seeds: int
) -> Callable[..., Any]:
    """``step`` of one seed, ``(donated, method_state, given)``, of all seeds, by ``pmap``.

    Where the mesh has an axis of the data, every device has all seeds and its part of each batch,
    and ``step`` averages over `Placement.batch_axis`. Else each device has its own seeds, and none
    talks to another. A seed that is alone on its device keeps its branches.

    Args:
      step: the step.
      placement: the mesh, of one axis.
      num_seeds: S.
    """
    devices = list(placement.mesh.devices.flat)
    axis = placement.batch_axis
    seeds = num_seeds if axis else num_seeds // len(devices)
    ours = alone(step) if seeds == 1 else jax.vmap(step, in_axes=(0, 0, SEED_AXES))
    if axis is None:
        mapped = jax.pmap(ours, in_axes=(0, 0, SEED_AXES), devices=devices)
    else:
        mapped = jax.pmap(ours, axis, in_axes=(None, None, _PARTS), out_axes=None, devices=devices)

    def of_seeds(donated: Any, method_state: Any, given: Given) -> Any:
        def split(tree: Any) -> Any:
            return jax.tree.map(lambda x: x.reshape(len(devices), seeds, *x.shape[1:]), tree)

        own = split(given._replace(step=None, resident=None))
        own = own._replace(step=given.step, resident=given.resident)
        outputs = mapped(split(donated), split(method_state), own)
        return jax.tree.map(lambda x: x.reshape(num_seeds, *x.shape[2:]), outputs)

    def of_parts(donated: Any, method_state: Any, given: Given) -> Any:
        batch = jax.tree.map(
            lambda x: x.reshape(num_seeds, len(devices), -1, *x.shape[2:]), given.batch
        )
        return mapped(donated, method_state, given._replace(batch=batch))

    return of_seeds if axis is None else of_parts


def check_mapped(task: Task) -> None:
    """Checks that a method can be trained with a part of each batch on every device.

    Raises:
      ValueError: under ``pmap``, something that is drawn for, or measured on, a batch as a whole.
    """
    placement, corruption = task.problem.placement, task.problem.experiment.corruption
    if placement.batch_axis is None:
        return
    noisy = corruption.input_noise is not None and corruption.input_noise_in in ("train", "all")
    wanting = {
        "dropout": task.network.is_random,
        "batch norm": bool(task.network.init_statistics()),
        "input noise": noisy,
        f"what it measures of a batch ({', '.join(task.method.signals)})": task.method.signals,
        "its objective's state": type(task.objective).advance is not Objective.advance,
    }
    for what, found in wanting.items():
        if found:
            raise ValueError(
                f"{what} needs whole batches, and parallel=pmap gives each of"
                f" {placement.batch_shares} devices a part of them; leave it out, or choose --seeds"
                " that divide by the devices"
            )
