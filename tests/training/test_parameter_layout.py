"""Meshes that are asked for: the same numbers, parameters split by rule, clear refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from masam_jax.config.mesh import parse_mesh, parse_rule
from masam_jax.core.decision import StaticUpdate
from masam_jax.core.route import Route
from masam_jax.methods import parse_method
from masam_jax.training.distribution import make_placement
from masam_jax.training.seed_step import SeedStep
from masam_jax.training.state import abstract_state, init_state
from masam_jax.training.storage.checkpoints import Checkpoints, RunProgress
from masam_jax.training.task import Task

SPLIT = ("^encoders/.*kernel$=none/model", "bias$=data")


def _task(make_problem, seeds, mesh=None, rules=(), devices=8):
    problem = make_problem(
        seeds,
        devices=devices,
        axes=None if mesh is None else parse_mesh(mesh),
        rules=tuple(map(parse_rule, rules)),
    )
    return Task(problem, parse_method("masam:rho=2"))


def _trained(task, state, steps):
    step = SeedStep(task)
    for index in steps:
        state, losses = step(state, task.batches.at(index), index)
    return state, np.asarray(losses.total)


def _assert_close(ours, theirs):
    for left, right in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(left, right, rtol=2e-3, atol=2e-5)


@pytest.mark.parametrize(
    "seeds, mesh, rules, words",
    [
        (1, "data=4,model=2", SPLIT, "batch and parameters sharded"),
        (4, "seeds=4,data=2", (), "seeds and batch sharded"),
        (8, "seeds=4,data=1,model=2", (".*=model",), "seeds and parameters sharded"),
        (1, "data=8", (".*=data",), "batch sharded"),
    ],
)
def test_a_mesh_trains_as_one_device(make_problem, seeds, mesh, rules, words):
    task, alone = _task(make_problem, seeds, mesh, rules), _task(make_problem, seeds, devices=1)
    assert task.problem.placement.description == f"8 devices (cpu), {words}"
    state, losses = _trained(task, init_state(task), range(3))
    expected = abstract_state(task)
    for name in ("params", "opt_state"):
        pairs = zip(
            jax.tree.leaves(getattr(state, name)),
            jax.tree.leaves(getattr(expected, name)),
            strict=True,
        )
        assert all(x.sharding.is_equivalent_to(like.sharding, x.ndim) for x, like in pairs)
    plain, plain_losses = _trained(alone, init_state(alone), range(3))
    np.testing.assert_allclose(losses, plain_losses, rtol=1e-4)
    _assert_close(jax.device_get(state.params), jax.device_get(plain.params))


def test_moments_are_split_as_their_parameters(make_problem):
    state = abstract_state(_task(make_problem, 1, "data=4,model=2", SPLIT))
    found = [
        {
            leaf.sharding.spec
            for path, leaf in jax.tree.leaves_with_path(part)
            if "encoders" in (name := jax.tree_util.keystr(path)) and "kernel" in name
        }
        for part in (state.params, state.opt_state, state.best_params)
    ]
    assert found == [{PartitionSpec("seeds", None, "model")}] * 3


def test_a_checkpoint_is_restored_onto_other_devices(make_problem, tmp_path):
    """8 -> 4 -> 1, bit for bit; and training goes on."""
    task = _task(make_problem, 1, "data=4,model=2", SPLIT)
    state, _ = _trained(task, init_state(task), range(2))
    saved = jax.device_get(state)
    whole, _ = _trained(task, jax.tree.map(jnp.copy, state), range(2, 3))
    for mesh, devices in (("data=2,model=2", 4), (None, 1)):
        with Checkpoints(tmp_path / str(devices), {}) as checkpoints:
            checkpoints.save(state, RunProgress(2), 0.5)
        task = _task(make_problem, 1, mesh, SPLIT if mesh else (), devices)
        with Checkpoints(tmp_path / str(devices), {}) as checkpoints:
            state, progress = checkpoints.restore(abstract_state(task))
        assert progress.step == 2
        assert len(jax.tree.leaves(state.params)[0].sharding.device_set) == devices
        assert jax.tree.all(jax.tree.map(np.array_equal, jax.device_get(state), saved))
    state, _ = _trained(task, state, range(2, 3))
    _assert_close(jax.device_get(state.params), jax.device_get(whole.params))


def test_a_seed_on_its_own_device_takes_its_branch_alone(make_problem, monkeypatch):
    """With the dispatch of GPUs and TPUs; under ``vmap`` every branch is computed."""
    monkeypatch.setattr(StaticUpdate, "route", lambda step, traced: Route("switch"))
    flops = {}
    for devices in (8, 1):
        task = _task(make_problem, 8, devices=devices)
        step = SeedStep(task)
        step(init_state(task), task.batches.at(0), 0)
        assert step.program is not None
        text = step.program.as_text()
        assert (" conditional(" in text) == (devices == 8)
        assert "all-reduce" not in text
        flops[devices] = step.flops
    # The analysis counts a conditional as the more expensive of its branches.
    assert 8 * flops[8] < 0.95 * flops[1]


@pytest.mark.parametrize("rules, is_branch", [((".*=data",), True), ((), False)])
def test_a_seed_whose_parameters_are_split_takes_its_branch_alone(
    make_problem, monkeypatch, rules, is_branch
):
    """One seed without split parameters keeps ``vmap``, and with it the bits of older runs."""
    monkeypatch.setattr(StaticUpdate, "route", lambda step, traced: Route("switch"))
    task = _task(make_problem, 1, "data=8", rules)
    step = SeedStep(task, on_host=False)
    lowered = step.lower(abstract_state(task), task.batches.at(0))
    assert ("stablehlo.case" in lowered.as_text()) == is_branch


def test_no_branch_of_one_seed_holds_a_sum_over_devices(make_problem, monkeypatch):
    """Devices of other seeds are in other branches; some backend might wait for them."""
    monkeypatch.setattr(StaticUpdate, "route", lambda step, traced: Route("switch"))
    task = _task(make_problem, 4, "seeds=4,data=2")
    step = SeedStep(task)
    step(init_state(task), task.batches.at(0), 0)
    text = step.program.as_text()
    assert " all-reduce(" in text
    assert " conditional(" not in text


@pytest.mark.parametrize(
    "seeds, batch, mesh, words",
    [
        (4, 8, "data=4", "mesh data=4 is of 4 devices, and there are 8 devices"),
        (3, 8, "seeds=2,data=4", "3 seeds do not divide by 2; choose --seeds"),
        (1, 6, "data=4,model=2", "a batch of 6 does not divide by 4; choose --batch-size"),
    ],
)
def test_a_mesh_that_does_not_fit_is_refused(seeds, batch, mesh, words):
    with pytest.raises(ValueError, match=words):
        make_placement(seeds, batch, axes=parse_mesh(mesh))


@pytest.mark.parametrize(
    "rules, words",
    [
        ((), "no parameter is split over model"),
        (("nothing=model",), "'nothing=model' finds no parameter among encoders/"),
        (("kernel=none/none/model",), "does not fit .*kernel of shape"),
        (("kernel=none",), "no parameter is split over model"),
    ],
)
def test_rules_that_do_not_fit_are_refused(make_problem, rules, words):
    with pytest.raises(ValueError, match=words):
        abstract_state(_task(make_problem, 1, "data=4,model=2", rules))
