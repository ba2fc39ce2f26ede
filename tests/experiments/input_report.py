"""What a benchmark of the input pipeline might have measured."""

from experiments.benchmark_consumption import Consumption
from experiments.benchmark_delivery import Delivery, Stage
from experiments.benchmark_input import InputReport

REPORT = InputReport(
    stages=[Stage("prepare", 2, 40.4), Stage("read alone", 1, 500.0)],
    delivery=[Delivery(0, 2, 250.0, 9000.0, 0.1), Delivery(1, 2, 200.0, 1000.0, 1.5)],
    consumption=[
        Consumption("late_fusion", 4.0, 4.0, {0: 0.001, 1: 0.0025}),
        Consumption("masam", 8.0, 2.0, {}),
    ],
)
