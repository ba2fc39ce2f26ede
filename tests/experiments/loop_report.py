"""What the benchmark of the training loop returns, made up."""

from experiments.benchmark_loop import LEAST, LEAST_FASTER, LoopRow

LOOP = [
    LoopRow("late fusion", "the loop over a bare one", 0.95, LEAST, (0.002, 0.0019)),
    LoopRow("MASAM", "one after the other over together", 2.5, LEAST_FASTER, (0.025, 0.01)),
]
