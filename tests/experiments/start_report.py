"""What the benchmark of two starts returns, made up."""

from experiments.benchmark_start import StartRow

START = [StartRow("late fusion", 8.0, 2.0), StartRow("MASAM", 10.0, 3.0)]
