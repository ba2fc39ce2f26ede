"""What is logged of a step."""

from __future__ import annotations

import json

import jax
import numpy as np
import pytest

from masam_jax.methods import get_method, method_names, method_report, parse_method
from masam_jax.training.dominance import ChoiceCounts
from masam_jax.training.seed_step import SeedStep
from masam_jax.training.state import abstract_state, init_state
from masam_jax.training.task import Task
from masam_jax.training.train_record import leading_modality, make_train_record


def _record(problem, spec, steps=1, **counts):
    task = Task(problem, parse_method(spec))
    state, step = init_state(task), SeedStep(task, on_host=False)
    for number in range(steps):
        state, losses = step(state, task.batches.at(number), number)
    if counts:
        choices = ChoiceCounts(**{k: np.asarray(v, np.int32) for k, v in counts.items()})
        state = state._replace(opt_state=state.opt_state._replace(choices=choices))
    return make_train_record(problem)(losses, state), state


@pytest.mark.parametrize("name", method_names())
def test_methods_report_what_they_say_they_do(make_problem, name):
    problem = make_problem(2)
    task = Task(problem, parse_method(name))
    state = abstract_state(task)
    report = method_report(state.opt_state, state.method_state)
    assert set(report) == set(get_method(name).reports)
    for of_modalities in report.values():
        assert set(problem.modalities) <= set(of_modalities)
        assert {x.shape for x in of_modalities.values()} == {(2,)}


def test_a_choice_is_logged_with_its_counts(make_problem):
    record, state = _record(
        make_problem(2),
        "masam:select=m1",
        pairs=[0, 4],
        switches=[0, 1],
        compared=[4, 5],
        agreements=[1, 5],
    )
    assert {m: x.tolist() for m, x in record["dominant"].items()} == {
        "m0": [False, False],
        "m1": [True, True],
    }
    assert {m: x.tolist() for m, x in record["dominant_share"].items()} == {
        "m0": [0, 0],
        "m1": [1, 1],
    }
    np.testing.assert_array_equal(record["switching_rate"], np.float32([np.nan, 0.25]))
    np.testing.assert_array_equal(record["argmax_agreement"], np.float32([0.25, 1]))
    for name in ("score", "alignment", "decay"):
        for m, values in record[name].items():
            np.testing.assert_array_equal(values, getattr(state.opt_state.inner[0].scores, name)[m])
    assert {"fusion_gradient_norm", "unimodal_gradient_norm"} <= set(record)


def test_a_method_that_chooses_otherwise_has_no_scores(make_problem):
    record, state = _record(make_problem(2), "m_sam", steps=2)
    chosen = np.stack([record["dominant"][m] for m in ("m0", "m1")])
    values = np.stack([record["shapley_value"][m] for m in ("m0", "m1")])
    assert (chosen.argmax(0) == values.argmax(0)).all()
    assert state.opt_state.choices.pairs.tolist() == [1, 1]
    assert "score" not in record
    assert "argmax_agreement" not in record
    assert "unimodal_gradient_norm" not in record


def test_a_method_without_any_choice(make_problem):
    record, _ = _record(make_problem(2), "pmr")
    assert "dominant" not in record
    assert set(record["prototype_weight"]) == {"m0", "m1"}
    json.dumps(jax.tree.map(np.ndarray.tolist, record))


def test_the_leading_modality_in_words():
    assert leading_modality(None) is None
    nobody, m0 = np.array([False] * 3), np.array([True, False, True])
    assert leading_modality({"m0": nobody, "m1": nobody}) is None
    assert leading_modality({"m0": m0, "m1": ~m0}) == "m0 (2/3 seeds)"
    assert leading_modality({"b": ~m0[:2], "a": m0[:2]}) == "a (1/2 seeds)"
    assert leading_modality({"m0": m0[:1], "m1": nobody[:1]}) == "m0"
