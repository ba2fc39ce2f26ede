"""Training on samples that are read from disk."""

import json
import multiprocessing
from contextlib import closing

import chex
import jax
import numpy as np
import optax
import pytest

from masam_jax.config import CorruptionConfig, ModelConfig
from masam_jax.methods import parse_method
from masam_jax.training import batches as batches_module
from masam_jax.training.interrupt import InterruptedRun
from masam_jax.training.predictions import Point, Predictors
from masam_jax.training.seed_step import SeedStep
from masam_jax.training.state import init_state
from masam_jax.training.task import Task
from tests.training.streamed import prepared_problem, run

MISSING = CorruptionConfig(missing=0.3)


def _task(problem, spec="late_fusion"):
    return Task(problem, parse_method(spec))


def _steps(task, state, step, start, stop):
    """State and total losses after these steps; the state given is used up."""
    losses = []
    with closing(task.batches.start(start)) as batches:
        for index in range(start, stop):
            state, found = step(state, next(batches), index)
            losses.append(np.asarray(found.total))
    return state, losses


def assert_close(left, right, rtol=1e-4):
    assert jax.tree.structure(left) == jax.tree.structure(right)
    chex.assert_trees_all_close(left, right, rtol=rtol, atol=1e-05)


@pytest.fixture
def plain_descent(monkeypatch):
    """AdamW would turn a gradient that is zero but for rounding into a whole step."""
    monkeypatch.setattr(optax, "adamw", lambda rate, weight_decay: optax.sgd(0.1))


@pytest.mark.usefixtures("plain_descent")
def test_on_disk_and_in_memory_training_is_the_same(prepared):
    """Batch norm, dropout, and statistics of each seed's own training rows."""
    found = []
    for in_memory in (False, True):
        problem = prepared_problem(prepared, "adni", in_memory=in_memory, train_size=20)
        assert bool(problem.resident) == in_memory
        task = _task(problem)
        state, losses = _steps(task, init_state(task), SeedStep(task), 0, 4)
        state = jax.device_get(state)
        point = Point(state.params, state.statistics, ())
        predictions = Predictors(problem).of(task)(point, problem.indices("test"))
        found.append((losses, state.params, state.statistics, predictions))
    assert_close(*found)


@pytest.mark.parametrize("corruption", [CorruptionConfig(), MISSING], ids=["own", "more"])
@pytest.mark.parametrize(
    "name, options", [("mimic_phenotype", {"pairs": "partial"}), ("ur_funny", {})]
)
def test_batches_and_statistics_are_the_same(prepared, name, options, corruption):
    """Trees, pixels, samples that lack a modality by themselves, or by the configuration."""
    streamed, resident = (
        prepared_problem(
            prepared,
            name,
            options=options,
            in_memory=in_memory,
            corruption=corruption,
            augment=False,
            model=ModelConfig(width=4, depth=1),
        )
        for in_memory in (False, True)
    )
    assert_close(streamed.host_statistics, resident.host_statistics, rtol=1e-6)
    lacks = bool(options) or corruption is MISSING
    for problem in (streamed, resident):
        assert problem.lacks("train") == problem.lacks("test") == lacks
    ours, theirs = (
        Task(p, parse_method("late_fusion")).batches.at(1) for p in (streamed, resident)
    )
    assert theirs.inputs == {}
    np.testing.assert_array_equal(ours.rows, theirs.rows)
    np.testing.assert_array_equal(ours.labels, theirs.labels)
    assert bool(ours.present) == lacks
    chex.assert_trees_all_equal(ours.present, theirs.present)
    rows = np.asarray(theirs.rows)
    gathered = jax.tree.map(lambda x: x[rows], jax.device_get(resident.resident))
    chex.assert_trees_all_equal(ours.inputs, gathered)
    for part in ("train", "test"):
        indices = streamed.indices("test")
        pairs = [
            batches_module.evaluation_batches(problem, indices, part)
            for problem in (streamed, resident)
        ]
        for (mine, count), (other, same) in zip(*pairs, strict=True):
            assert count == same
            np.testing.assert_array_equal(mine.labels, other.labels)
            chex.assert_trees_all_equal(mine.present, other.present)


def test_going_on_is_the_same_bit_for_bit(prepared):
    """With augmentation and dropout; what went before leaves no trace but the state."""
    model = ModelConfig(width=4, depth=1, encoders=("text=text_transformer:heads=2",), dropout=0.2)
    problem = prepared_problem(prepared, "food101", options={"text": "tokens"}, model=model)
    assert problem.network("concat").is_random
    task = _task(problem)
    step = SeedStep(task)
    begun, first = _steps(task, init_state(task), step, 0, 2)
    saved = jax.device_get(begun)
    whole, rest = _steps(task, begun, step, 2, 4)
    restored = problem.placement.put(saved, problem.placement.seeds)
    resumed, again = _steps(_task(problem), restored, step, 2, 4)
    np.testing.assert_array_equal(rest, again)
    assert not np.array_equal(first, rest)
    assert jax.tree.all(
        jax.tree.map(np.array_equal, jax.device_get(whole), jax.device_get(resumed))
    )


def test_rows_that_seeds_share_are_predicted_as_others_are(prepared, monkeypatch):
    problem = prepared_problem(prepared, "adni")
    shared = problem.indices("test")
    # The second seed goes the other way round.
    own = np.stack([shared[0], shared[1][::-1]])
    assert batches_module.shares_samples(problem, shared)
    assert not batches_module.shares_samples(problem, own)
    task = _task(problem)
    params, statistics = problem.initial("concat")
    predict, point = Predictors(problem).of(task), Point(params, statistics, ())
    together, apart = predict(point, shared), predict(point, own)
    apart = jax.tree.map(lambda x: np.stack([x[0], x[1][::-1]]), apart)
    assert_close(together, apart)
    np.testing.assert_array_equal(together.labels, problem.data.labels[shared])
    monkeypatch.setattr(batches_module, "_STREAMED_CHUNK", 4)
    assert_close(predict(point, shared), together)
    turned = jax.tree.map(lambda x: np.stack([x[0], x[1][::-1]]), predict(point, own))
    assert_close(turned, together)


@pytest.mark.parametrize("seeds, words", [(1, "batch sharded"), (4, "seeds sharded")])
def test_devices_get_their_part_of_each_batch(prepared, seeds, words):
    shared, whole = (
        prepared_problem(prepared, "adni", seeds, batch_size=8, devices=devices)
        for devices in (4, 1)
    )
    assert words in shared.placement.description
    ours, theirs = (_task(problem).batches.at(1) for problem in (shared, whole))
    placed = ours.inputs["mri"]
    assert len(placed.sharding.device_set) == 4
    shape = (1, 2, 185) if seeds == 1 else (1, 8, 185)
    assert {part.data.shape for part in placed.addressable_shards} == {shape}
    chex.assert_trees_all_equal(jax.device_get(ours), jax.device_get(theirs))


@pytest.mark.usefixtures("plain_descent")
def test_devices_that_share_a_batch_normalise_by_the_whole(prepared):
    found = []
    for devices in (4, 1):
        problem = prepared_problem(prepared, "adni", 1, batch_size=8, devices=devices)
        task = _task(problem)
        state, losses = _steps(task, init_state(task), SeedStep(task), 0, 2)
        found.append((losses, jax.device_get((state.params, state.statistics))))
    assert_close(*found, rtol=1e-3)


def test_trials_of_g_blend_read_samples_too(prepared, tmp_path):
    """A whole run on disk, whose schedule trains and measures between its steps."""
    problem = prepared_problem(prepared, "adni", steps=5)
    spec = "g_blend:super_epoch=1,trial=0.25"
    with pytest.raises(InterruptedRun):
        run(problem, spec, tmp_path, stop=3)
    result = run(problem, spec, tmp_path)
    assert result["steps"] == 5
    assert result["metric"] == "map"
    records = [json.loads(x) for x in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [r["step"] for r in records if r["split"] == "train"] == [1, 2, 3, 4, 5]
    assert all(np.isfinite(r["fusion_loss"]).all() for r in records)
    assert np.isfinite(result["test"]["fusion_loss"]).all()
    assert not multiprocessing.active_children()
