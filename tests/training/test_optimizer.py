"""The optimizers that a configuration names, against NumPy, and under methods of the zoo."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from masam_jax.config import OptimizationConfig
from masam_jax.methods import parse_method
from masam_jax.training.batches import network_inputs
from masam_jax.training.optimizer import check_encoders_named, make_optimizer
from masam_jax.training.seed_step import SeedStep
from masam_jax.training.state import init_state
from masam_jax.training.task import StepInputs, Task

RATE, DECAY, MOMENTUM, STEPS = 0.1, 0.3, 0.8, 3
LABELS = {"audio": {"kernel": "audio", "bias": "audio"}, "head": "other"}


def _trees(count, seed=0):
    generator = np.random.default_rng(seed)
    shapes = {"audio": {"kernel": (3, 5), "bias": (5,)}, "head": (4, 2)}
    is_shape = {"is_leaf": lambda x: isinstance(x, tuple)}
    return [
        jax.tree.map(lambda s: generator.standard_normal(s).astype(np.float32), shapes, **is_shape)
        for _ in range(count)
    ]


def _config(optimizer="adamw", **options):
    given = {"learning_rate": RATE, "weight_decay": DECAY, "momentum": MOMENTUM}
    return OptimizationConfig(optimizer=optimizer, **(given | options))


def _final(tx, params, gradients, **static):
    params = jax.tree.map(jnp.asarray, params)
    state = tx.init(params)
    update = jax.jit(lambda g, s, p: tx.update(g, s, p, **static))
    for gradient in gradients:
        updates, state = update(jax.tree.map(jnp.asarray, gradient), state, params)
        params = optax.apply_updates(params, updates)
    return params


def _adam(coupled):
    def run(w, gradients):
        first = second = np.zeros_like(w)
        for t, gradient in enumerate(gradients, 1):
            g = gradient + DECAY * w * coupled
            first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g**2
            step = first / (1 - 0.9**t) / (np.sqrt(second / (1 - 0.999**t)) + 1e-8)
            w = w - RATE * (step + DECAY * w * (not coupled))
        return w

    return run


def _sgd(w, gradients):
    velocity = np.zeros_like(w)
    for gradient in gradients:
        velocity = MOMENTUM * velocity + gradient + DECAY * w
        w = w - RATE * velocity
    return w


def _lion(w, gradients):
    mean = np.zeros_like(w)
    for g in gradients:
        w = w - RATE * (np.sign(0.9 * mean + 0.1 * g) + DECAY * w)
        mean = 0.99 * mean + 0.01 * g
    return w


def _muon(w, gradients):
    """Jordan's quintic iteration on Nesterov's momentum; elements as large as AdamW's."""
    if w.ndim != 2:
        return _adam_nesterov(w, gradients)
    mean = np.zeros_like(w)
    for t, g in enumerate(gradients, 1):
        mean = 0.95 * mean + 0.05 * g
        x = 0.95 * mean / (1 - 0.95 ** (t + 1)) + 0.05 * g / (1 - 0.95**t)
        transposed = x.shape[0] > x.shape[1]
        x = x.T if transposed else x
        x = x / (np.linalg.norm(x) + 1e-8)
        for _ in range(5):
            a = x @ x.T
            x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
        x = x.T if transposed else x
        w = w - RATE * (0.2 * np.sqrt(max(w.shape)) * x + DECAY * w)
    return w


def _adam_nesterov(w, gradients):
    first = second = np.zeros_like(w)
    for t, g in enumerate(gradients, 1):
        first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g**2
        ahead = 0.9 * first / (1 - 0.9 ** (t + 1)) + 0.1 * g / (1 - 0.9**t)
        w = w - RATE * (ahead / (np.sqrt(second / (1 - 0.999**t)) + 1e-8) + DECAY * w)
    return w


REFERENCES = {
    "adamw": _adam(coupled=False),
    "adam": _adam(coupled=True),
    "sgd": _sgd,
    "lion": _lion,
    "muon": _muon,
}


@pytest.mark.parametrize("name", REFERENCES)
def test_each_optimizer_is_the_fields(name):
    params, *gradients = _trees(1 + STEPS)
    found = _final(make_optimizer(_config(name), LABELS, ("audio",), STEPS), params, gradients)
    expected = jax.tree.map(
        lambda w, *g: REFERENCES[name](w.astype(np.float64), g), params, *gradients
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), found, expected
    )


def test_the_default_is_adamw_itself():
    params = jax.tree.map(jnp.asarray, _trees(1)[0])
    tx = make_optimizer(OptimizationConfig(), LABELS, ("audio",), 600)
    plain = optax.adamw(5e-3, weight_decay=1e-4)
    assert jax.tree.structure(tx.init(params)) == jax.tree.structure(plain.init(params))
    gradients = _trees(STEPS, seed=1)
    with jax.numpy_dtype_promotion("standard"):
        expected = _final(plain, params, gradients)
    found = _final(tx, params, gradients)
    assert jax.tree.all(jax.tree.map(np.array_equal, found, expected))


@pytest.mark.parametrize("name", REFERENCES)
def test_modalities_may_take_turns(name):
    params, *gradients = _trees(1 + STEPS)
    tx = make_optimizer(_config(name), LABELS, ("audio",), STEPS, by_modality=True)
    found = _final(tx, params, gradients, phase="audio")
    whole = _final(make_optimizer(_config(name), LABELS, ("audio",), STEPS), params, gradients)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), found, whole)


def test_what_all_modalities_share_falls_with_the_steps_of_the_run():
    labels, params = {"a": "a", "b": "b", "head": "other"}, dict.fromkeys("ab", jnp.zeros(1))
    params["head"] = jnp.zeros(1)
    config = _config("sgd", weight_decay=0.0, momentum=0.0, schedule="linear")
    tx = make_optimizer(config, labels, ("a", "b"), 4, by_modality=True)
    state, ones, moves = tx.init(params), jax.tree.map(jnp.ones_like, params), []
    for phase in "ab" * 4:
        updates, state = tx.update(ones, state, params, phase=phase)
        moves.append((float(updates["head"][0]), float(updates[phase][0])))
    expected = [-RATE * (1 - step / 4) for step in range(4) for _ in "ab"]
    np.testing.assert_allclose(moves, np.stack([expected, expected], axis=1), rtol=1e-5)


def test_gradients_are_clipped_before_the_optimizer():
    params, gradient = _trees(2)
    config = _config("sgd", weight_decay=0.0, momentum=0.0, clip_norm=0.5)
    found = _final(make_optimizer(config, LABELS, ("audio",), 1), params, [gradient])
    norm = np.sqrt(sum((g.astype(np.float64) ** 2).sum() for g in jax.tree.leaves(gradient)))
    expected = jax.tree.map(lambda w, g: w - RATE * 0.5 / norm * g, params, gradient)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), found, expected
    )


def _stepped(problem, spec, steps=2, **options):
    """Parameters after some steps of a method on a problem with another optimizer."""
    optimization = dataclasses.replace(problem.experiment.optimization, **options)
    experiment = dataclasses.replace(problem.experiment, optimization=optimization)
    task = Task(dataclasses.replace(problem, experiment=experiment), parse_method(spec))
    state, step = init_state(task), SeedStep(task)
    for t in range(steps):
        state, _ = step(state, task.batches.at(t), t)
    return jax.device_get(state.params)


@pytest.mark.parametrize(
    "spec", ["masam:rho=1", "mla", "aug", "sam", "ogm_ge", "g_blend", "mmpareto", "agm"]
)
@pytest.mark.parametrize("name", ["sgd", "muon"])
def test_methods_of_the_zoo_take_other_optimizers(make_problem, spec, name):
    options = {"schedule": "cosine", "warmup": 1, "clip_norm": 1.0}
    params = _stepped(make_problem(2), spec, optimizer=name, **options)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))


def test_seeds_trained_together_are_those_trained_alone_under_muon(make_problem):
    together = _stepped(make_problem(2), "late_fusion", optimizer="muon")
    alone = _stepped(make_problem(1, seed_offset=1), "late_fusion", optimizer="muon")
    jax.tree.map(
        lambda both, one: np.testing.assert_allclose(both[1], one[0], rtol=1e-3, atol=1e-5),
        together,
        alone,
    )


def test_an_encoder_may_learn_slower(make_problem):
    params, *gradients = _trees(1 + STEPS)
    config = _config("adamw", learning_rate_factor=("audio=0.1",))
    found = _final(make_optimizer(config, LABELS, ("audio",), STEPS), params, gradients)
    slow = _final(
        make_optimizer(_config("adamw", learning_rate=0.1 * RATE), LABELS, ("audio",), STEPS),
        params,
        gradients,
    )
    plain = _final(make_optimizer(_config(), LABELS, ("audio",), STEPS), params, gradients)
    np.testing.assert_allclose(found["audio"]["kernel"], slow["audio"]["kernel"], rtol=1e-5)
    assert np.array_equal(found["head"], plain["head"])


@pytest.mark.parametrize("name", REFERENCES)
def test_a_frozen_encoder_gets_no_update_and_counts_in_no_norm(name):
    params, gradient = _trees(2)
    config = _config(name, freeze=("audio",), clip_norm=0.5)
    found = _final(make_optimizer(config, LABELS, ("audio",), 1), params, [gradient])
    assert jax.tree.all(jax.tree.map(np.array_equal, found["audio"], params["audio"]))
    head = {"head": params["head"]}, [{"head": gradient["head"]}]
    alone = _final(
        make_optimizer(_config(name, clip_norm=0.5), {"head": "other"}, ("audio",), 1), *head
    )
    np.testing.assert_allclose(found["head"], alone["head"], rtol=1e-6)


@pytest.mark.parametrize("spec", ["masam:rho=1,select=all", "sam", "info_reg", "mla"])
def test_frozen_encoders_stay_under_every_kind_of_method(make_problem, spec):
    problem = make_problem(2)
    before, after = (_stepped(problem, spec, steps=n, freeze=("m0",)) for n in (0, 2))
    frozen, trained = before["encoders"]["m0"], before["encoders"]["m1"]
    assert jax.tree.all(jax.tree.map(np.array_equal, frozen, after["encoders"]["m0"]))
    assert not jax.tree.all(jax.tree.map(np.array_equal, trained, after["encoders"]["m1"]))


def test_frozen_encoders_have_no_gradient(make_problem):
    problem = make_problem(1)
    optimization = dataclasses.replace(problem.experiment.optimization, freeze=("m0",))
    experiment = dataclasses.replace(problem.experiment, optimization=optimization)
    task = Task(dataclasses.replace(problem, experiment=experiment), parse_method("late_fusion"))
    state, first = init_state(task), lambda tree: jax.tree.map(lambda x: x[0], tree)
    key = first(problem.seed_keys)
    scales, batch = first((problem.statistics, task.batches.at(0)))
    batch = network_inputs(experiment.corruption, "train", problem.resident, scales, batch, key)
    step = StepInputs(batch, first(state.statistics), key, first(state.method_state))
    _, gradients, signals = jax.jit(task.value_and_grad())(first(state.params), step)
    for each in (gradients, signals["fusion_grads"], signals["unimodal_grads"]):
        assert not any(leaf.any() for leaf in jax.tree.leaves(each["encoders"]["m0"]))
        assert any(leaf.any() for leaf in jax.tree.leaves(each["encoders"]["m1"]))
    assert any(leaf.any() for leaf in jax.tree.leaves(gradients["heads"]["m0"]))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"freeze": ("m0",), "learning_rate_factor": ("m0=2",)}, "'m0' is in freeze and has a"),
        ({"learning_rate_factor": ("m0",)}, "'m0' is not of the form MODALITY=VALUE"),
        ({"learning_rate_factor": ("m0=fast",)}, "m0='fast' is not a number"),
        ({"learning_rate_factor": ("m0=0",)}, "m0 must be a finite number > 0, got 0.0"),
    ],
)
def test_what_cannot_be_meant_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        OptimizationConfig(**options)


@pytest.mark.parametrize("options", [{"freeze": ("m2",)}, {"learning_rate_factor": ("m2=1",)}])
def test_modalities_that_the_data_lack_are_refused(options):
    with pytest.raises(ValueError, match=r"unknown modality 'm2' \(known: m0, m1\)"):
        check_encoders_named(OptimizationConfig(**options), ("m0", "m1"))
