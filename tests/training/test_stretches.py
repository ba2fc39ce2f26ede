"""Stretches of steps: where they end, and that a step does not know in which one it is."""

import jax
import numpy as np

from masam_jax.methods import parse_method
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


def test_a_step_is_the_same_bit_for_bit_in_stretches_of_any_length():
    """With dropout, batch norm, and a modality drawn at random."""
    task = Task(stateful_problem(2), parse_method("masam:rho=2,select=random"))
    assert repeats(task)
    step, ends = SeedStep(task, stretched=True), []
    for cut in ([1] * 5, [1, 4], [3, 2]):
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
