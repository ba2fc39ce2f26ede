"""`make accelerator` in little, on a CPU."""

import json

import jax
import pytest

from experiments import benchmark_accelerator
from experiments.benchmark_accelerator import HOST, Settings, main, measure, table
from experiments.benchmark_measure import Timing
from experiments.core_steps import BASELINE, CORE_STEPS


@pytest.fixture
def one_device(monkeypatch):
    devices = jax.devices()[:1]
    monkeypatch.setattr(benchmark_accelerator.jax, "devices", lambda: devices)


@pytest.mark.parametrize(
    "wrong",
    [{"rounds": 0}, {"batch_per_device": 0}, {"modalities": 0}, {"precisions": ()}, {"seconds": 0}],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Settings(**wrong)


def test_every_step_is_timed(one_device, tmp_path, capsys):
    path = tmp_path / "accelerator.json"
    settings = Settings(
        network="mlp",
        precisions=("float32",),
        batch_per_device=2,
        rounds=1,
        seconds=60,
        output=path,
    )
    # optax.adamw mixes its step count with floats.
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        main(settings)
    timings = json.loads(path.read_text())["timings"]["float32"]
    assert tuple(timings) == CORE_STEPS
    assert timings[BASELINE]["ratio"] == 1.0
    assert all(each["seconds"] > 0 for each in timings.values())
    assert f"| {HOST} |" in capsys.readouterr().out


def test_what_comes_too_late_is_said(one_device):
    settings = Settings(network="mlp", batch_per_device=2, rounds=1)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        found = measure(settings, "float32", 0.0)
    assert [name for name, timing in found.items() if timing is not None] == [BASELINE]
    assert "| SAM | not reached |  |" in table("float32", found)
    assert "| SAM | 2.00 | 1.50 |" in table("float32", {"SAM": Timing(0.002, 1.5)})
