"""Stretches of steps: where they end, and that a step does not know in which one it is."""

import jax
import numpy as np
import optax
import pytest

from masam_jax.methods import parse_method
from masam_jax.training import seed_step
from masam_jax.training.seed_step import SeedStep
from masam_jax.training.state import init_state
from masam_jax.training.stretches import lengths, repeats
from masam_jax.training.task import Task
from tests.training.stateful import stateful_problem


def test_a_stretch_ends_where_the_loop_looks():
    found = list(lengths(0, 25, (10, 4, None), lambda: 64))
    assert found == [1, 3, 4, 2, 2, 4, 4, 4, 1]
    assert list(lengths(10, 25, (10,), lambda: 6)) == [1, 6, 3, 5]
    assert list(lengths(7, 7, (10,), lambda: 64)) == []


def test_the_steps_of_a_stretch_are_of_one_kind():
    """Steps 0, 3, 6, ... measure what the others reuse."""
    kinds = ("measures", "reuses", "reuses")
    assert list(lengths(0, 12, (10,), lambda: 64, kinds)) == [1, 2, 1, 2, 1, 2, 1, 2]
    assert list(lengths(2, 9, (), lambda: 64, kinds)) == [1, 1, 2, 1, 2]


def test_the_first_process_says_how_long_a_stretch_may_be(monkeypatch):
    task = Task(stateful_problem(2), parse_method("late_fusion"))
    step, state, asked = SeedStep(task, stretched=True), init_state(task), []
    monkeypatch.setattr(seed_step, "agreed", lambda number: asked.append(number) or 5)
    assert step.longest == 1
    step.stretch(state, next(task.batches.stretches(0, [1], 4)))
    assert [step.longest, step.longest] == [5, 5]
    assert len(asked) == 1


@pytest.mark.parametrize(
    "spec, cuts",
    [
        ("masam:rho=2,select=random", ([1] * 5, [1, 4], [3, 2])),
        ("masam:rho=2,perturb_every=3", ([1] * 5, [1, 2, 1, 1])),
    ],
)
def test_a_step_is_the_same_bit_for_bit_in_stretches_of_any_length(spec, cuts, monkeypatch):
    """With dropout, batch norm, and a modality drawn at random."""
    # AdamW would turn a gradient that is zero but for rounding into a whole step.
    monkeypatch.setattr(optax, "adamw", lambda rate, weight_decay: optax.sgd(rate))
    task = Task(stateful_problem(2), parse_method(spec))
    assert repeats(task)
    step, ends = SeedStep(task, stretched=True), []
    for cut in cuts:
        state = init_state(task)
        for stretch in task.batches.stretches(0, cut, 4):
            state, losses = step.stretch(state, stretch)
        ends.append(jax.device_get((state, losses)))
    singly, state = SeedStep(task), init_state(task)
    for number in range(5):
        state, losses = singly(state, task.batches.at(number), number)
    for end in ends[1:]:
        assert jax.tree.all(jax.tree.map(np.array_equal, ends[0], end))
    jax.tree.map(
        lambda ours, theirs: np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4),
        ends[0][0].params,
        jax.device_get(state.params),
    )
    assert step.flops is not None
    assert singly.flops is not None
    assert step.flops < 1.2 * singly.flops  # Of a step, not of a stretch.
