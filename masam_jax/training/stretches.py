"""How many steps one call of the compiled program takes: a stretch, between two looks of the loop.

Every stretch of a run, however long, is taken by one program, a loop of as many turns as it is told
when it is called: a step has the same bits whatever stretch it is in, and so has a run that was
interrupted anywhere.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from masam_jax.training.batches import network_inputs
from masam_jax.training.task import Task
from masam_jax.training.train_step import convolves

MOST = 64
"""Steps of the longest stretch; their rows are placed together."""

# What a device does in a second, at least: operations, and bytes of memory. A signal is answered
# after the stretch that it comes in, and so a stretch should not last longer.
_RATES = {"cpu": (1e10, 4e9)}
_OF_ACCELERATORS = (1e13, 4e11)


def repeats(task: Task) -> bool:
    """Whether a step of that task belongs into a loop of its program.

    Not where batches are read from disk, which are large, and each placed by itself; nor for
    convolutions on the CPU, whose backward pass XLA takes many times slower in a loop.
    """
    problem = task.problem
    if not problem.resident:
        return False
    if any(device.platform != "cpu" for device in problem.placement.mesh.devices.flat):
        return True
    network, config = task.network, problem.experiment.corruption

    def encode(key: jax.Array, scales: Any, batch: Any, resident: Any) -> Any:
        params = network.init(key)
        inputs = network_inputs(config, "train", resident, scales, batch, key).inputs
        return {m: network.encode(params, m, inputs[m]) for m in network.modalities}

    first = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype),
        (problem.seed_keys, problem.statistics, task.batches.at(0)),
    )
    return not convolves(encode, *first, problem.resident)


def longest(program: jax.stages.Compiled, platform: str) -> int:
    """Steps of a compiled stretch that take about a second, at least 1 and at most `MOST`.

    By XLA's estimates of a step, which other hardware may see otherwise; 1 without estimates.
    """
    estimates = program.cost_analysis() or {}
    if "flops" not in estimates:
        return 1
    operations, bytes_accessed = _RATES.get(platform, _OF_ACCELERATORS)
    seconds = estimates["flops"] / operations
    seconds += estimates.get("bytes accessed", 0.0) / bytes_accessed
    return max(1, min(MOST, int(1 / seconds))) if seconds else MOST


def lengths(
    start: int,
    steps: int,
    intervals: Sequence[int | None],
    most: Callable[[], int],
    cycle: Sequence[Hashable] = (None,),
) -> Iterator[int]:
    """Lengths of the stretches that lead from step ``start`` to step ``steps``.

    The first one is of one step, which compiles.

    Args:
      start: steps done.
      steps: of the whole run.
      intervals: a stretch ends at the multiples of each; None is none.
      most: steps of the longest; asked before each but the first.
      cycle: step t is of the kind ``cycle[t % len(cycle)]``, and all of a stretch are of one.
    """
    step, length = start, 1
    while step < steps:
        yield length
        step += length
        ends = [step - step % each + each for each in intervals if each is not None]
        length = max(1, min(min([steps, *ends]) - step, most(), _alike(cycle, step)))


def _alike(cycle: Sequence[Hashable], step: int) -> int:
    """Steps of one kind from that one on; `MOST` for ever."""
    kinds = [cycle[(step + ahead) % len(cycle)] for ahead in range(len(cycle))]
    return next((ahead for ahead, kind in enumerate(kinds) if kind != kinds[0]), MOST)


def repeated(
    advance: Callable[[Any, Any, Any], tuple[Any, Any]],
) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
    """A stretch of a step, ``(donated, method_state, given) -> (moving, losses)`` like the step.

    ``given.batch`` is of several steps there, ``[K, S, B]``, and ``given.step`` the pair of the
    first step and the one after the last: one step at least, K at most. The losses are those of the
    last.
    """
    # Its trace is kept, for it is asked for twice.
    step = jax.jit(advance, inline=True)

    def stretch(donated: Any, method_state: Any, given: Any) -> tuple[Any, Any]:
        first, end = given.step

        def at(number: jax.Array) -> Any:
            batch = jax.tree.map(
                lambda x: jax.lax.dynamic_index_in_dim(x, number - first, keepdims=False),
                given.batch,
            )
            return given._replace(batch=batch, step=number)

        def turn(number: jax.Array, carry: tuple[Any, Any]) -> tuple[Any, Any]:
            moving, _ = carry
            return step(moving._replace(method_state=None), moving.method_state, at(number))

        _, shapes = jax.eval_shape(step, donated, method_state, at(first))
        nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        moving = donated._replace(method_state=method_state)
        return jax.lax.fori_loop(first, end, turn, (moving, nothing))

    return stretch
