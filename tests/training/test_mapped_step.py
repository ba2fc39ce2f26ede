"""Steps by ``pmap``: the numbers of ``jit`` and of one device, and clear refusals."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masam_jax.config import CorruptionConfig, ModelConfig
from masam_jax.config.mesh import parse_mesh, parse_rule
from masam_jax.core.collectives import any_of
from masam_jax.core.decision import StaticUpdate
from masam_jax.core.perturbation import Route
from masam_jax.methods import parse_method
from masam_jax.training.distribution import make_placement
from masam_jax.training.mapped_step import check_mapped
from masam_jax.training.seed_step import SeedStep
from masam_jax.training.state import abstract_state, init_state
from masam_jax.training.storage.checkpoints import Checkpoints, RunProgress
from masam_jax.training.task import Task
from tests.training.stateful import stateful_problem

DEVICES = 4


def _trained(task, state, steps, stretched=False):
    step = SeedStep(task, on_host=False, stretched=stretched)
    if stretched:
        (stretch,) = task.batches.stretches(steps.start, [len(steps)], len(steps))
        state, losses = step.stretch(state, stretch)
    else:
        for index in steps:
            state, losses = step(state, task.batches.at(index), index)
    return state, jax.device_get(losses), step.program


def _assert_close(ours, theirs):
    """As float32 sums in another order are."""
    for left, right in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(left, right, rtol=2e-3, atol=2e-5)


@pytest.mark.parametrize(
    "seeds, spec, route, stretched",
    [
        (1, "late_fusion", None, False),
        (1, "sam:rho=0.5", None, True),
        (1, "masam:rho=2", "dense", True),
        (1, "masam:rho=2", "switch", False),
        (1, "recommended:rho=0.5", None, False),
        (3, "masam:rho=2,select=all", None, False),
        (DEVICES, "masam:rho=2", "switch", True),
        (2 * DEVICES, "masam:rho=2", "dense", False),
    ],
)
def test_pmap_trains_as_jit_and_as_one_device(
    make_problem, monkeypatch, seeds, spec, route, stretched
):
    """A part of the batch on each device; or a seed, or two."""
    if route:
        monkeypatch.setattr(StaticUpdate, "route", lambda step, traced: Route(route))
    ends = {}
    for parallel, devices in (("pmap", DEVICES), ("jit", DEVICES), ("jit", 1)):
        problem = make_problem(seeds, devices=devices, parallel=parallel)
        task = Task(problem, parse_method(spec))
        check_mapped(task)
        state, losses, program = _trained(task, init_state(task), range(2), stretched)
        ends[parallel, devices] = jax.device_get(state.params), losses
        leaves = jax.tree.leaves((state.params, state.opt_state))
        assert all(x.sharding.is_equivalent_to(problem.placement.seeds, x.ndim) for x in leaves)
        if parallel == "pmap":
            apart = seeds % DEVICES == 0
            assert ("all-reduce" in program.as_text()) != apart
            alone = seeds in (1, DEVICES)
            assert (" conditional(" in program.as_text()) == (route == "switch" and alone)
            words = "seeds mapped by pmap" if apart else "batch mapped by pmap"
            assert problem.placement.description == f"{DEVICES} devices (cpu), {words}"
    params, losses = ends.pop(("jit", 1))
    for ours in ends.values():
        _assert_close(ours[0], params)
        np.testing.assert_allclose(ours[1].total, losses.total, rtol=1e-4)
        np.testing.assert_allclose(ours[1].aux.accuracy, losses.aux.accuracy, rtol=1e-6)


@pytest.mark.parametrize("first, then", [("pmap", "jit"), ("jit", "pmap")])
def test_a_run_goes_on_the_other_way(make_problem, tmp_path, first, then):
    tasks = {
        parallel: Task(
            make_problem(1, devices=DEVICES, parallel=parallel), parse_method("masam:rho=2")
        )
        for parallel in (first, then)
    }
    state, _, _ = _trained(tasks[first], init_state(tasks[first]), range(1))
    with Checkpoints(tmp_path, {}) as checkpoints:
        checkpoints.save(state, RunProgress(1), 0.5)
    with Checkpoints(tmp_path, {}) as checkpoints:
        restored, _ = checkpoints.restore(abstract_state(tasks[then]))
    assert jax.tree.all(
        jax.tree.map(np.array_equal, jax.device_get(restored), jax.device_get(state))
    )
    whole, _, _ = _trained(tasks[first], state, range(1, 2))
    resumed, _, _ = _trained(tasks[then], restored, range(1, 2))
    _assert_close(jax.device_get(resumed.params), jax.device_get(whole.params))


def test_a_modality_is_there_where_any_device_has_it():
    flags = jnp.zeros((2, DEVICES, 2), bool).at[0, 1, 1].set(True)
    anywhere = functools.partial(any_of, axis_name="data")
    found = [jax.pmap(anywhere, "data", devices=jax.devices()[:DEVICES])(each) for each in flags]
    assert [each.tolist() for each in found] == [[True] * DEVICES, [False] * DEVICES]
    assert bool(any_of(flags, None))


@pytest.mark.parametrize(
    "spec, model, corruption, words",
    [
        ("masam", {"dropout": 0.3}, {}, "dropout needs whole batches, .* each of 4 devices a part"),
        ("masam", {"encoders": ("a=ffn", "b=ffn")}, {}, "batch norm needs whole batches"),
        ("masam", {}, {"input_noise": 3.0, "input_noise_in": "all"}, "input noise needs whole"),
        ("ogm_ge", {}, {}, r"what it measures of a batch \(confidence\) needs whole batches"),
        ("pmr", {}, {}, "its objective's state needs whole batches, .* or choose --seeds"),
    ],
)
def test_what_needs_a_whole_batch_is_refused(spec, model, corruption, words):
    model = ModelConfig(**({"width": 5, "encoders": ("a=mlp", "b=mlp")} | model))
    corruption = CorruptionConfig(**corruption)
    if model.dropout:
        model = dataclasses.replace(model, encoders=("a=ffn", "b=mlp"))
    problem = stateful_problem(1, model=model, corruption=corruption)
    task = Task(problem, parse_method(spec))
    check_mapped(task)
    devices = jax.devices()[:DEVICES]
    placement = make_placement(1, 12, devices, parallel="pmap")
    with pytest.raises(ValueError, match=words):
        check_mapped(Task(dataclasses.replace(problem, placement=placement), task.method))
    by_seed = make_placement(DEVICES, 12, devices, parallel="pmap")
    check_mapped(Task(dataclasses.replace(problem, placement=by_seed), task.method))


@pytest.mark.parametrize(
    "mesh, rules, words",
    [
        ("data=2,model=2", (), "parallel=pmap keeps parameters whole; leave it out, or --shard"),
        ("data=4", (".*=data",), "parallel=pmap keeps parameters whole"),
        ("seeds=2,data=2", (), "maps over seeds or over data, and mesh seeds=2,data=2 has both"),
    ],
)
def test_meshes_that_pmap_has_not_are_refused(mesh, rules, words):
    rules = tuple(map(parse_rule, rules))
    with pytest.raises(ValueError, match=words):
        make_placement(
            2, 8, jax.devices()[:DEVICES], axes=parse_mesh(mesh), rules=rules, parallel="pmap"
        )
