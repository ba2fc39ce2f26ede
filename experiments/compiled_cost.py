"""What the compiler says of a program that is never run."""

import dataclasses
import time
from typing import Any

import jax

from experiments.hlo_collectives import collectives_of
from experiments.tpu_topologies import compile_only


@dataclasses.dataclass(frozen=True)
class CompiledCost:
    """One program, as XLA counts it, on one device.

    Attributes:
      flops: floating-point operations. Of a conditional the dearest branch counts, for one alone
        runs.
      bytes_accessed: read from and written to memory by all of its instructions.
      peak_bytes: memory that it holds at most, arguments included.
      collectives: how many, of all kinds.
      collective_bytes: the arrays that they are of.
      compile_seconds: from the traced program to the compiled one: CPU time of all threads, which
        depends less on what else the machine does than the wall clock. None where it was not read.
    """

    flops: float
    bytes_accessed: float
    peak_bytes: int
    collectives: int
    collective_bytes: int
    compile_seconds: float | None


def compiled_cost(lowered: jax.stages.Lowered) -> CompiledCost:
    """Compiles a program for devices that need not be there, and reads what it costs."""
    start = time.process_time()
    compiled = compile_only(lowered)
    seconds = time.process_time() - start
    analysis: Any = compiled.cost_analysis()
    memory: Any = compiled.memory_analysis()
    found = collectives_of(compiled.as_text() or "")
    return CompiledCost(
        flops=analysis["flops"],
        bytes_accessed=analysis["bytes accessed"],
        peak_bytes=memory.peak_memory_in_bytes,
        collectives=found.total_number,
        collective_bytes=found.total_bytes,
        compile_seconds=seconds,
    )
