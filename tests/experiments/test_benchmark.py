"""The benchmark counts honestly, and runs from its settings to its file."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import pytest

from experiments import benchmark
from experiments.arithmetic_floor import floor
from experiments.benchmark import Settings, main
from experiments.benchmark_measure import cost, time_interleaved
from experiments.benchmark_models import make_problem
from experiments.benchmark_variants import BASELINE, LOOP_DEFAULT, SAM, make_variants
from experiments.benchmark_zoo import ZOO_BASELINE, make_zoo_variants
from masam_jax.methods import method_names
from tests.experiments.geometry_report import GEOMETRY
from tests.experiments.input_report import REPORT
from tests.experiments.loop_report import LOOP
from tests.experiments.resnet_report import RESNET
from tests.experiments.start_report import START

MATRIX = jnp.ones((64, 64), jnp.float32)
PRODUCT_FLOPS = 2 * 64**3


def _compiled(function, *args):
    return jax.jit(function).lower(*args).compile()


def test_flops_of_programs_that_follow_each_other_add_up():
    product = _compiled(lambda x: x @ x, MATRIX)
    assert cost([product]).flops == PRODUCT_FLOPS
    assert cost([product, product]).flops == 2 * PRODUCT_FLOPS
    assert cost([product, product]).memory_bytes == cost([product]).memory_bytes


def test_dearest_branch_of_a_conditional_counts_once():
    branches = [lambda x: x, lambda x: x @ x, lambda x: x @ x @ x]
    switch = _compiled(lambda i, x: jax.lax.switch(i, branches, x), jnp.int32(1), MATRIX)
    assert cost([switch]).flops == pytest.approx(2 * PRODUCT_FLOPS, rel=0.01)


def test_donated_buffers_count_once():
    def donating(x):
        return x + 1

    kept = jax.jit(donating).lower(MATRIX).compile()
    donated = jax.jit(donating, donate_argnums=0).lower(MATRIX).compile()
    assert cost([kept]).memory_bytes - cost([donated]).memory_bytes == MATRIX.nbytes


def test_rounds_visit_every_step_equally_often():
    calls = {"a": 0, "b": 0}

    def step_of(name):
        def step(params, opt_state):
            calls[name] += 1
            return params + 1, opt_state

        return step

    steps = {name: (step_of(name), jnp.zeros(()), None) for name in calls}
    timings = time_interleaved(steps, "a", rounds=3, seconds_per_turn=0.0)
    assert timings["a"].ratio == 1.0
    assert calls["a"] == calls["b"] == 2 + 2 + 3
    assert all(timing.seconds > 0 for timing in timings.values())


@pytest.mark.parametrize(("modalities", "expected"), [(2, 13 / 6), (3, 2.0), (6, 11 / 6)])
def test_floor(modalities, expected):
    assert floor(modalities) == pytest.approx(expected)


@pytest.mark.parametrize("encoder", ["mlp", "conv"])
def test_problem_has_equal_encoders_and_finite_losses(encoder):
    problem = make_problem(encoder, 3, 4)
    fusion, unimodal = jax.jit(problem.late_fusion)(problem.params, *problem.batch)
    assert jnp.isfinite(fusion)
    assert len(unimodal) == 3
    assert len({jax.tree.structure(p) for p in problem.params["encoders"].values()}) == 1


def test_unknown_encoder_is_refused():
    with pytest.raises(ValueError, match=r"one of .*'conv', 'mlp'.*'transformer'"):
        make_problem("transformer", 2, 4)


@pytest.mark.parametrize(
    "wrong", [{"rounds": 0}, {"batch_size": 0}, {"modalities": ()}, {"encoders": ()}]
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Settings(**wrong)


def test_benchmark_runs_to_its_file(tmp_path, capsys, monkeypatch):
    def three_variants(problem):
        every = make_variants(problem)
        return {name: every[name] for name in (BASELINE, SAM, LOOP_DEFAULT)}

    def two_methods(problem):
        every = make_zoo_variants(problem)
        assert set(every) == set(method_names())
        return {name: every[name] for name in (ZOO_BASELINE, "sam")}

    monkeypatch.setattr(benchmark, "make_variants", three_variants)
    monkeypatch.setattr(benchmark, "make_zoo_variants", two_methods)
    monkeypatch.setattr(benchmark, "measure_input", lambda settings, console: REPORT)
    monkeypatch.setattr(benchmark, "measure_geometry", lambda settings, console: GEOMETRY)
    monkeypatch.setattr(benchmark, "measure_resnet", lambda settings, console: RESNET)
    monkeypatch.setattr(benchmark, "measure_start", lambda settings, console: START)
    monkeypatch.setattr(benchmark, "measure_loop", lambda settings, console: LOOP)
    path = tmp_path / "benchmarks.json"
    # optax.adamw mixes its step count with floats.
    with jax.numpy_dtype_promotion("standard"):
        main(Settings(encoders=("mlp",), modalities=(2,), batch_size=4, rounds=1, output=path))
    document = json.loads(path.read_text())
    rows = {row["variant"]: row for row in document["rows"]}
    zoo = {row["variant"]: row for row in document["zoo"]}
    assert zoo[ZOO_BASELINE]["flops_ratio"] == zoo[ZOO_BASELINE]["seconds_ratio"] == 1.0
    assert 1.7 < zoo["sam"]["flops_ratio"] < 2.1
    assert rows[BASELINE]["flops_ratio"] == rows[BASELINE]["seconds_ratio"] == 1.0
    assert 1.7 < rows[SAM]["flops_ratio"] < 2.1
    # Two cotangents, then both encoders again without control flow: 8 / 3, below a naive 3.3.
    assert 1.8 < rows[LOOP_DEFAULT]["flops_ratio"] < 2.7
    assert document["input"]["delivery"] == [dataclasses.asdict(row) for row in REPORT.delivery]
    assert document["geometry"] == dataclasses.asdict(GEOMETRY)
    assert document["resnet"] == [dataclasses.asdict(row) for row in RESNET]
    assert [row["ratio"] for row in document["loop"]] == [0.95, 2.5]
    assert document["start"][0] == {
        "step": "late fusion",
        "first": 8.0,
        "second": 2.0,
        "ratio": 0.25,
    }
    text = capsys.readouterr().out
    assert "Hessian trace, a pair of ResNet-18" in text
    assert "a pair of ResNet-18 (64 channels), 257 × 188" in text
    assert "mlp encoders, M = 2" in text
    assert "two starts, conv encoders" in text
    assert "training loop, mfeat" in text
    assert "input pipeline, its parts" in text
