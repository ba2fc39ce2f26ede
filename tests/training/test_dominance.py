"""Counts over every step, against a list of what happened."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from masam_jax.core.masam import MasamState
from masam_jax.core.scores import initial_scores
from masam_jax.methods.m_sam import MSamState
from masam_jax.training.dominance import count_dominance

NAMES = ("a", "b", "c")


def _scripted(choices: list[int], scores: Any = None, alignments: Any = None) -> Any:
    """A transformation whose state says what the script does, one entry a step."""

    def state(count: Any, choice: Any, score: Any, alignment: Any) -> Any:
        if scores is None:
            return MSamState(count, choice, {})
        values = initial_scores(NAMES, jnp.float32)._replace(
            score=dict(zip(NAMES, score, strict=True)),
            alignment=dict(zip(NAMES, alignment, strict=True)),
        )
        radius = {m: jnp.zeros(()) for m in NAMES}
        return MasamState(count, values, choice, jnp.zeros(2, jnp.uint32), radius)

    nothing = jnp.zeros(3)

    def init(params: Any) -> Any:
        del params
        return state(jnp.int32(0), jnp.int32(-1), nothing, nothing)

    def update(updates: Any, before: Any, params: Any = None, **extra: Any) -> Any:
        del params, extra
        t = before.count
        rows = [
            nothing if each is None else jnp.asarray(each, jnp.float32)[t]
            for each in (scores, alignments)
        ]
        return updates, state(t + 1, jnp.asarray(choices, jnp.int32)[t], *rows)

    return optax.GradientTransformationExtraArgs(init, update)


def _run(tx: Any, steps: int, present: Any = None) -> Any:
    tx = count_dominance(tx, NAMES)
    state, update = tx.init({}), jax.jit(tx.update)
    for t in range(steps):
        extra = {} if present is None else {"present": dict(zip(NAMES, present[t], strict=True))}
        _, state = update({}, state, {}, **extra)
    return jax.device_get(state)


def test_switches_are_between_steps_that_have_a_dominant_modality():
    state = _run(_scripted([0, 0, 2, -1, 2, 1, 1]), 7)
    assert state.counts.tolist() == [2, 2, 2]
    assert state.steps == 7
    assert (state.choices.pairs, state.choices.switches) == (4, 2)
    assert state.choices.compared is state.choices.agreements is None


@pytest.mark.parametrize("seed", range(3))
def test_agreement_of_score_and_alignment(seed: int):
    generator = np.random.default_rng(seed)
    scores, alignments = generator.integers(-2, 3, (2, 12, 3)).astype(np.float32)
    present = generator.random((12, 3)) < 0.7
    state = _run(_scripted([0] * 12, scores, alignments), 12, present)
    compared = agreements = 0
    for score, alignment, here in zip(scores, alignments, present, strict=True):
        names = [i for i in range(3) if here[i]]
        if names:
            compared += 1
            agreements += max(names, key=lambda i: (score[i], -i)) == max(
                names, key=lambda i: (alignment[i], -i)
            )
    assert (state.choices.compared, state.choices.agreements) == (compared, agreements)
    assert 0 < agreements < compared


def test_a_transformation_without_such_a_choice_has_no_counts():
    state = _run(optax.with_extra_args_support(optax.identity()), 1)
    assert (state.counts, state.steps, state.choices) == (None, None, None)
