"""Methods with parts of their own: parameters, state, phases and revisions between steps."""

import dataclasses
import io

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from rich.console import Console

from masam_jax.core.losses import cross_entropy
from masam_jax.methods import BoundMethod, Method, Objective, Outcome, Schedule, parse_method
from masam_jax.training.interrupt import InterruptedRun, InterruptRequest
from masam_jax.training.loop import train_method
from masam_jax.training.predictions import Predictors
from masam_jax.training.progress_report import ProgressReport
from masam_jax.training.seed_step import SeedStep
from masam_jax.training.state import abstract_state, init_state
from masam_jax.training.storage.checkpoints import Checkpoints
from masam_jax.training.task import Task


@dataclasses.dataclass(frozen=True)
class NoOptions:
    """None."""


@dataclasses.dataclass(frozen=True)
class ScaledObjective(Objective):
    """The fusion loss of logits times a trained scale; counts batches, and is scaled by a state."""

    def init_params(self, network, key):
        return {"scale": jnp.ones(()), "noise": jax.random.normal(key, (2,))}

    def init_state(self, network, params):
        return {"batches": jnp.zeros((), jnp.int32), "weight": jnp.ones(())}

    def losses(self, network, params, features, labels, state):
        logits = params["method"]["scale"] * network.fuse(params, features)
        outcome = super().losses(network, params, features, labels, state)
        fusion = state["weight"] * cross_entropy(logits, labels)
        return outcome._replace(fusion=fusion, logits=logits, observed=jnp.int32(1))

    def advance(self, state, observed):
        return {**state, "batches": state["batches"] + observed}

    def predict(self, network, params, features, state):
        # Wrong before the first batch, so that a forgotten state is seen.
        logits, unimodal = super().predict(network, params, features, state)
        return jnp.where(state["batches"] > 0, 1.0, -1.0) * logits, unimodal


@dataclasses.dataclass(frozen=True)
class Revising(Schedule):
    """Every second epoch the weight becomes the held-out loss after one trial step."""

    def period(self, steps_per_epoch):
        return 2 * steps_per_epoch

    def held_out(self):
        return 0.25

    def revise(self, probe, params, opt_state, state):
        tried, _ = probe.train(params, opt_state, state, steps=1)
        return {**state, "weight": probe.losses(tried, "held_out")["fusion"]}


@dataclasses.dataclass(frozen=True)
class ByModality(Objective):
    """Each modality's own loss."""

    def losses(self, network, params, features, labels, state):
        (m,) = features
        head = params["heads"][m]["dense"]
        logits = features[m] @ head["kernel"] + head["bias"][None]
        loss = cross_entropy(logits, labels)
        return Outcome(loss, {m: loss}, logits)


def _method(name, objective, schedule=None, **parts):
    schedule = schedule or Schedule()
    method = Method(
        name=name,
        summary="for a test",
        options=NoOptions,
        title=lambda options: name,
        objective=lambda options, context: objective,
        schedule=lambda options: schedule,
        **parts,
    )
    return BoundMethod(method, NoOptions())


REVISED = _method("revised", ScaledObjective(), Revising())
PHASED = _method("phased", ByModality(), Schedule(by_modality=True))


def _train(problem, method, directory, interrupt=None):
    directory.mkdir(exist_ok=True)
    task = Task(problem, method)
    return train_method(
        task,
        directory,
        {"method": method.spec},
        predict=Predictors(problem).of(task),
        progress=ProgressReport(Console(file=io.StringIO())),
        interrupt=interrupt or InterruptRequest(),
    )


def _final(problem, method, directory):
    with Checkpoints(directory / "checkpoints", {"method": method.spec}) as checkpoints:
        state, progress = checkpoints.restore(abstract_state(Task(problem, method)))
    return jax.device_get(state), progress


def test_parameters_and_state_of_an_objective_are_trained_and_kept(make_problem, tmp_path):
    problem = make_problem(2, steps=6)
    result = _train(problem, REVISED, tmp_path)
    state, progress = _final(problem, REVISED, tmp_path)
    assert state.method_state["batches"].tolist() == [6, 6]
    assert (state.params["method"]["scale"] != 1).all()
    # Each seed draws parameters of its own.
    assert state.params["method"]["noise"][0, 0] != state.params["method"]["noise"][1, 0]
    # Two steps an epoch: revised before steps 0 and 4, one trial each.
    assert progress.trial_steps == 2
    assert result["flops_per_step"] == pytest.approx(progress.step_flops * (1 + 2 / 6))
    assert not np.allclose(state.method_state["weight"], 1)


class _StopAfter(InterruptRequest):
    def __init__(self, steps):
        self._left = steps

    @property
    def signal_number(self):
        self._left -= 1
        return 2 if self._left < 0 else None


@pytest.mark.parametrize("steps", [3, 4, 5])
@pytest.mark.parametrize("method", [REVISED, PHASED], ids=["revised", "phased"])
def test_interrupted_and_resumed_ends_the_same(make_problem, tmp_path, method, steps):
    problem = make_problem(2, steps=6)
    _train(problem, method, tmp_path / "whole")
    with pytest.raises(InterruptedRun):
        _train(problem, method, tmp_path / "parts", _StopAfter(steps - 1))
    _train(problem, method, tmp_path / "parts")
    whole, parts = (_final(problem, method, tmp_path / name) for name in ("whole", "parts"))
    assert jax.tree.all(jax.tree.map(np.array_equal, whole[0], parts[0]))
    assert whole[1].flops_per_step == parts[1].flops_per_step


def test_held_out_samples_are_never_trained_on(make_problem):
    problem = make_problem(3)
    task = Task(problem, REVISED)
    fit, held_out = task.training_rows["fit"], task.training_rows["held_out"]
    assert (fit.shape, held_out.shape) == ((3, 12), (3, 4))
    for seed, split in enumerate(problem.splits):
        assert sorted([*fit[seed], *held_out[seed]]) == sorted(split.train)
        seen = {row for step in range(4) for row in task.row_batches[step][seed]}
        assert seen == set(fit[seed])


def test_a_batch_that_devices_share_divides_by_them(make_problem):
    """Of 16 samples 12 are left to fit, less than a batch; 8 devices share what divides."""
    alone = Task(make_problem(3, batch_size=16), REVISED)
    assert (alone.batch_size, alone.steps_per_epoch, alone.period) == (12, 1, 2)
    shared = Task(make_problem(3, batch_size=16, devices=8), REVISED)
    assert shared.problem.placement.batch_shares == 8
    assert (shared.batch_size, shared.steps_per_epoch, shared.period) == (8, 2, 4)
    _, losses = SeedStep(shared)(init_state(shared), shared.batches.at(0), 0)
    assert np.isfinite(losses.total).all()


def test_a_share_that_holds_nothing_out_is_refused(make_problem):
    @dataclasses.dataclass(frozen=True)
    class Sliver(Revising):
        def held_out(self):
            return 0.01

    with pytest.raises(ValueError, match=r"16 training samples are too few to hold out 0\.01"):
        _ = Task(make_problem(1), _method("sliver", ScaledObjective(), Sliver())).row_batches


def test_phases_are_one_update_for_each_modality_in_turn(make_problem):
    """The same as training each modality's encoder and head alone, one after the other."""
    problem = make_problem(1, steps=3)
    task = Task(problem, PHASED)
    state, step = init_state(task), SeedStep(task)
    expected = jax.tree.map(lambda leaf: leaf[0], jax.device_get(state.params))
    config = problem.experiment.optimization
    base = optax.adamw(config.learning_rate, weight_decay=config.weight_decay)
    encoder_states = {m: base.init(expected["encoders"][m]) for m in problem.modalities}
    other_state = base.init((expected["fusion"], expected["heads"]))
    for index in range(3):
        state, losses = step(state, task.batches.at(index), index)
        rows = np.asarray(task.row_batches[index][0])
        for m in problem.modalities:
            mean, std = (np.asarray(part[0]) for part in problem.statistics[m])
            inputs = (np.asarray(problem.resident[m])[rows] - mean) / std
            labels = problem.data.labels[rows]

            def loss(params, m=m, inputs=inputs, labels=labels):
                features = {m: task.network.encode(params, m, inputs)}
                return ByModality().losses(task.network, params, features, labels, ()).fusion

            grads = jax.grad(loss)(expected)
            moved, encoder_states[m] = base.update(
                grads["encoders"][m], encoder_states[m], expected["encoders"][m]
            )
            rest = (expected["fusion"], expected["heads"])
            others, other_state = base.update((grads["fusion"], grads["heads"]), other_state, rest)
            fusion, heads = optax.apply_updates(rest, others)
            encoders = {
                **expected["encoders"],
                m: optax.apply_updates(expected["encoders"][m], moved),
            }
            expected = {"encoders": encoders, "fusion": fusion, "heads": heads}
    for ours, theirs in zip(jax.tree.leaves(state.params), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(ours[0], theirs, rtol=1e-4, atol=1e-5)
    assert sorted(losses.unimodal) == list(problem.modalities)


def test_stopped_seeds_keep_the_state_of_their_objective(make_problem):
    problem = make_problem(2, patience=1)
    task = Task(problem, REVISED)
    state, step = init_state(task), SeedStep(task)
    state = state._replace(stopped=jnp.array([False, True]))
    state, _ = step(state, task.batches.at(0), 0)
    assert state.method_state["batches"].tolist() == [1, 0]


def test_signals_are_computed_for_those_who_read_them(make_problem):
    seen = {}

    def build(options, labels, context):
        def update(updates, state, params=None, **signals):
            seen.update(signals)
            return updates, state

        return optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)

    problem = make_problem(1)
    method = _method("reader", Objective(), build=build, signals=("confidence",))
    task = Task(problem, method)
    SeedStep(task)(init_state(task), task.batches.at(0), 0)
    assert sorted(seen["confidence"]) == list(problem.modalities)
    assert "shapley_values" not in seen


@pytest.mark.parametrize("name", ["late_fusion", "sam"])
def test_low_precision_takes_no_second_pullback_that_nobody_reads(make_problem, name):
    flops = {}
    for dtype in ("float32", "bfloat16"):
        problem = make_problem(1, network={"width": 64, "depth": 3, "dtype": dtype})
        task = Task(problem, parse_method(name))
        lowered = SeedStep(task).lower(init_state(task), task.batches.at(0))
        flops[dtype] = lowered.compile().cost_analysis()["flops"]
    # A second pullback adds a third of all products, or more; conversions, a tenth.
    assert flops["bfloat16"] < 1.25 * flops["float32"]


def test_a_method_may_bring_its_fusion_head(make_problem):
    problem = make_problem(1)
    concat, summed = (Task(problem, parse_method(name)) for name in ("late_fusion", "sum"))
    assert (concat.fusion, summed.fusion) == ("concat", "sum")
    ours, theirs = (init_state(task).params for task in (concat, summed))
    assert jax.tree.structure(ours["fusion"]) != jax.tree.structure(theirs["fusion"])
    assert jax.tree.all(jax.tree.map(np.array_equal, ours["encoders"], theirs["encoders"]))
