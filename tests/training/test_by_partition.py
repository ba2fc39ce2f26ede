"""Updates of one modality at a time: the base optimizer alone, and in runs of methods that do."""

import io
import json

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from rich.console import Console

import masam_jax.methods.aug
import masam_jax.methods.mla  # noqa: F401  (both register themselves)
from masam_jax.methods import parse_method
from masam_jax.training.by_partition import by_partition
from masam_jax.training.interrupt import InterruptRequest
from masam_jax.training.loop import train_method
from masam_jax.training.predictions import Predictors
from masam_jax.training.progress_report import ProgressReport
from masam_jax.training.seed_step import SeedStep
from masam_jax.training.state import abstract_state, init_state
from masam_jax.training.storage.checkpoints import Checkpoints
from masam_jax.training.task import Task

LABELS = {"audio": "audio", "text": "text", "head": "other"}
PHASES = ("audio", "text", "audio", "audio", "text")
BASES = {
    "momentum": lambda: optax.sgd(0.1, momentum=0.9),
    "adamw": lambda: optax.adamw(0.1, weight_decay=0.5),
}


def _trees(count):
    generator = np.random.default_rng(0)
    return [
        {name: jnp.asarray(generator.standard_normal(3), jnp.float32) for name in LABELS}
        for _ in range(count)
    ]


def _assert_same(got, want, tolerance=1e-6):
    chex.assert_trees_all_close(got, want, rtol=tolerance)


@pytest.mark.parametrize("base", BASES)
def test_each_partition_sees_the_steps_of_its_phases_alone(base):
    params, *gradients = _trees(1 + len(PHASES))
    tx = by_partition(BASES[base](), LABELS, ("audio", "text"))
    update = jax.jit(tx.update, static_argnames="phase")
    moved, state = params, tx.init(params)
    for phase, gradient in zip(PHASES, gradients, strict=True):
        before = moved, state
        updates, state = update(gradient, state, moved, phase=phase)
        moved = optax.apply_updates(moved, updates)
        still = "text" if phase == "audio" else "audio"
        assert np.array_equal(moved[still], before[0][still])
        inner = (state.inner_states[still], before[1].inner_states[still])
        assert jax.tree.all(jax.tree.map(np.array_equal, *inner))
        assert jax.tree.structure(state) == jax.tree.structure(before[1])
    for name, label in LABELS.items():
        alone = BASES[base]()
        want, alone_state = params[name], alone.init(params[name])
        for phase, gradient in zip(PHASES, gradients, strict=True):
            if label in (phase, "other"):
                step, alone_state = alone.update(gradient[name], alone_state, want)
                want = optax.apply_updates(want, step)
        _assert_same(moved[name], want)


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("labels", [LABELS, lambda params: {name: LABELS[name] for name in params}])
def test_without_a_phase_it_is_the_base(base, labels):
    params, *gradients = _trees(4)
    moved = []
    for tx in (by_partition(BASES[base](), labels, ("audio", "text")), BASES[base]()):
        at, state = params, tx.init(params)
        for gradient in gradients:
            updates, state = tx.update(gradient, state, at)
            at = optax.apply_updates(at, updates)
        moved.append(at)
    for name, parameter in moved[0].items():
        np.testing.assert_allclose(parameter, moved[1][name], rtol=1e-6)


def test_what_is_not_in_turn_is_not_even_scaled():
    """Its gradient may be anything: NaN times zero would not be zero."""
    params = _trees(1)[0]
    gradient = params | {"text": jnp.full(3, jnp.nan)}
    tx = by_partition(BASES["momentum"](), LABELS, ("audio", "text"))
    updates, state = tx.update(gradient, tx.init(params), phase="audio")
    assert not np.any(updates["text"])
    assert not any(np.isnan(leaf).any() for leaf in jax.tree.leaves(state))


def test_an_unknown_phase_is_named():
    params = _trees(1)[0]
    tx = by_partition(BASES["momentum"](), LABELS, ("audio", "text"))
    with pytest.raises(ValueError, match=r"phase is 'video'.*\['audio', 'text'\]"):
        tx.update(params, tx.init(params), params, phase="video")


# --- runs ---


def _run(task, directory):
    result = train_method(
        task,
        directory,
        {},
        predict=Predictors(task.problem).of(task),
        progress=ProgressReport(Console(file=io.StringIO())),
        interrupt=InterruptRequest(),
    )
    with Checkpoints(directory / "checkpoints", {}) as checkpoints:
        state, _ = checkpoints.restore(abstract_state(task))
    return result, jax.device_get(state)


def _moved(new, old):
    """Whether anything but AdamW's weight decay moved a tree."""
    pairs = zip(jax.tree.leaves(new), jax.tree.leaves(old), strict=True)
    return not all(np.allclose(a, b, rtol=1e-4, atol=1e-7) for a, b in pairs)


@pytest.mark.parametrize("spec", ["mla", "aug:period=1,band=0,hidden=8"])
def test_a_run_by_modality(make_problem, tmp_path, spec):
    task = Task(make_problem(2, steps=6), parse_method(spec))
    assert task.phases == task.problem.modalities
    initial = jax.device_get(init_state(task).params)
    result, state = _run(task, tmp_path)
    assert len(result["test"]["accuracy"]) == 2
    assert np.isfinite(result["test"]["fusion_loss"]).all()
    assert set(result["test"]["unimodal_accuracy"]) == set(task.problem.modalities)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    for record in map(json.loads, lines):
        if record["split"] == "train":  # all modalities' losses, and nothing besides
            unimodal = np.array(list(record["unimodal_loss"].values()))
            np.testing.assert_allclose(record["total_loss"], unimodal.sum(axis=0), rtol=1e-5)
    new = state.params
    assert all(_moved(new["encoders"][m], initial["encoders"][m]) for m in initial["encoders"])
    assert _moved(new["method"]["head"], initial["method"]["head"])
    assert not _moved(
        *([params[part] for part in ("fusion", "heads")] for params in (new, initial))
    )
    if spec.startswith("aug"):
        # Three epochs of two steps; the last ends with the run. Every seed grows by itself.
        layers = np.array(list(state.method_state.layers.values()))
        assert layers.sum(axis=0).tolist() == [2, 2]

    alone = Task(make_problem(1, steps=6, seed_offset=1), parse_method(spec))
    step, one = SeedStep(alone), init_state(alone)
    for index in range(6):
        one, _ = step(one, alone.batches.at(index), index)
    pairs = zip(
        jax.tree.leaves((one.params, one.method_state)),
        jax.tree.leaves((state.params, state.method_state)),
        strict=True,
    )
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours[0], theirs[1], rtol=2e-3, atol=2e-5)
