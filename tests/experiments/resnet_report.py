"""What the benchmark of the pair of ResNet-18 returns, made up."""

from experiments.benchmark_resnet import BASELINE, HOST, LAX, ResNetRow
from experiments.benchmark_torch import AUTHORS, TORCH

RESNET = [
    ResNetRow(BASELINE, 5.0, 1.0, 1000 * 2**20, 20.0),
    ResNetRow(LAX, 4.0, 0.8, 900 * 2**20, 15.0),
    ResNetRow(HOST, 10.0, 2.0, 1200 * 2**20, 50.0),
    ResNetRow(TORCH, 5.0, 1.0, None, None),
    ResNetRow(AUTHORS, 20.0, 4.0, None, None),
]
