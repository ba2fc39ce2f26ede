"""FLOPs and memory of compiled programs, and wall-clock times fair under a drifting machine."""

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax

Step = Callable[[Any, Any], tuple[Any, Any]]


@dataclasses.dataclass(frozen=True)
class Cost:
    """What XLA says of one step.

    Attributes:
      flops: floating-point operations. Of a conditional the dearest branch counts, for one alone
        runs; of programs that run one after the other, the sum.
      memory_bytes: arguments, outputs and temporaries at the peak, buffers that the outputs take
        over from the arguments counted once.
    """

    flops: float
    memory_bytes: int


def cost(programs: Sequence[Any]) -> Cost:
    """The cost of compiled programs (``jax.stages.Compiled``) that run one after the other."""
    flops, peak = 0.0, 0
    for program in programs:
        flops += program.cost_analysis()["flops"]
        memory = program.memory_analysis()
        peak = max(
            peak,
            memory.argument_size_in_bytes
            + memory.output_size_in_bytes
            + memory.temp_size_in_bytes
            - memory.alias_size_in_bytes,
        )
    return Cost(flops, peak)


@dataclasses.dataclass(frozen=True)
class Timing:
    """Wall-clock time of a step.

    Attributes:
      seconds: the median over the rounds.
      ratio: the median, over the rounds, of the time over the baseline's in the same round.
    """

    seconds: float
    ratio: float


def time_interleaved(
    steps: Mapping[str, tuple[Step, Any, Any]],
    baseline: str,
    *,
    rounds: int,
    seconds_per_turn: float = 0.1,
    warm_up: int = 2,
) -> dict[str, Timing]:
    """Times every step in turn, over and over, so that all see the same state of the machine.

    Args:
      steps: for each name ``(step, params, opt_state)`` with
        ``step(params, opt_state) -> (params, opt_state)``, which may donate its arguments.
      baseline: the name that ratios are taken to.
      rounds: how often every step has its turn.
      seconds_per_turn: how long a turn should last; the number of steps in it follows.
      warm_up: steps that go before, and steps that tell how many make a turn.

    Returns:
      The `Timing` of each name.
    """
    states = {name: (params, opt_state) for name, (_, params, opt_state) in steps.items()}

    def turn(name: str, repeats: int) -> float:
        step = steps[name][0]
        params, opt_state = states[name]
        start = time.perf_counter()
        for _ in range(repeats):
            params, opt_state = step(params, opt_state)
        jax.block_until_ready((params, opt_state))
        elapsed = time.perf_counter() - start
        states[name] = (params, opt_state)
        return elapsed / repeats

    repeats = {}
    for name in steps:
        turn(name, warm_up)  # compilation, and the first touch of every buffer
        repeats[name] = max(1, round(seconds_per_turn / turn(name, warm_up)))
    times: dict[str, list[float]] = {name: [] for name in steps}
    order = list(steps)
    for _ in range(rounds):
        for name in order:
            times[name].append(turn(name, repeats[name]))
        order = order[1:] + order[:1]
    return {
        name: Timing(
            statistics.median(measured),
            statistics.median(t / b for t, b in zip(measured, times[baseline], strict=True)),
        )
        for name, measured in times.items()
    }
