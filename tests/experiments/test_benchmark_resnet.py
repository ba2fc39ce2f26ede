"""The benchmark of the pair of ResNet-18: what it says of its targets, and that it runs."""

import io

import jax
import numpy as np
import pytest
from flax import nnx
from rich.console import Console

from experiments import benchmark_resnet, benchmark_torch
from experiments.benchmark_resnet import (
    BASELINE,
    HOST,
    LAX,
    SWITCH,
    ResNetSettings,
    measure_resnet,
    print_resnet,
    verdicts,
)
from masam_jax.models import conv, resnet_blocks
from tests.experiments.resnet_report import RESNET

TINY = ResNetSettings(
    batch_size=2, spectrogram=(8, 6), image_size=8, channels=2, rounds=1, skip_torch=True
)


def test_every_target_is_said_to_be_met_or_not():
    assert verdicts(RESNET) == [
        "MASAM's time × late fusion: 2.00 (at most 2.1: met)",
        "MASAM's peak memory × late fusion: 1.20 (at most 1.3: met)",
        "MASAM's compilation × late fusion: 2.50 (at most 2: not met)",
        "late fusion's time × with jax.lax's convolutions: 1.25 (at most 1: not met)",
        "late fusion's time × PyTorch's: 1.00 (at most 1.2: met)",
        "MASAM's time × its authors' in PyTorch: 0.50 (at most 0.7: met)",
    ]


def test_without_pytorch_its_targets_are_left_out():
    rows = RESNET[:3]
    stream = io.StringIO()
    print_resnet(rows, ResNetSettings(), Console(file=stream, width=120))

    assert len(verdicts(rows)) == 4
    assert "PyTorch was left out" in stream.getvalue()


def test_without_pytorch_there_are_no_steps_of_it(monkeypatch):
    monkeypatch.setattr(benchmark_torch, "has_torch", lambda: False)
    assert benchmark_torch.make_torch_steps(({}, np.zeros(2)), 8, 6) == {}


@pytest.mark.parametrize("wrong", ["batch_size", "image_size", "channels", "rounds"])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=wrong):
        ResNetSettings(**{wrong: 0})


class _SmallEncoder(nnx.Module):
    """A single convolution in place of a ResNet: XLA takes half a minute for one of those."""

    def __init__(self, depth, in_channels, *, base_channels, rngs):
        self.conv = resnet_blocks.make_conv(in_channels, 8 * base_channels, 3, 2, rngs=rngs)

    def __call__(self, inputs):
        return self.conv(inputs).mean(axis=(1, 2))


def test_it_measures_what_it_names(monkeypatch):
    every = benchmark_resnet._compilers
    monkeypatch.setattr(benchmark_resnet, "ResNet", _SmallEncoder)

    def three(problem, settings):
        compilers = every(problem, settings)
        assert set(compilers) > {SWITCH}
        return {name: compilers[name] for name in (BASELINE, LAX, HOST)}

    monkeypatch.setattr(benchmark_resnet, "_compilers", three)
    # optax.adamw mixes its step count with floats.
    with jax.numpy_dtype_promotion("standard"):
        rows = {row.step: row for row in measure_resnet(TINY, Console(file=io.StringIO()))}

    assert list(rows) == [BASELINE, LAX, HOST]
    assert rows[BASELINE].ratio == 1.0
    assert all(row.seconds > 0 and row.memory_bytes > 0 for row in rows.values())
    assert rows[HOST].compile_seconds > 0
    assert resnet_blocks.conv is conv
