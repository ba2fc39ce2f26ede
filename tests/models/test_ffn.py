from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from masam_jax.models import FeedForwardEncoder
from tests.models import transformer_reference as reference
from tests.models.transformer_reference import run

INPUTS = np.random.default_rng(0).normal(size=(7, 3))


def _make(hidden=(5, 4), batch_norm=True, dropout=0.0, **options):
    return FeedForwardEncoder(3, hidden, 6, batch_norm, dropout, rngs=nnx.Rngs(0), **options)


def _statistics(module):
    return nnx.to_pure_dict(nnx.state(module, nnx.BatchStat))


def _with_statistics(module):
    """Running statistics other than the first."""
    rng = np.random.default_rng(3)
    for name in ("norm_0", "norm_1"):
        norm = getattr(module, name)
        norm.mean[...] = jnp.asarray(rng.normal(size=norm.mean.shape), norm.mean.dtype)
        norm.var[...] = jnp.asarray(rng.uniform(0.5, 2.0, size=norm.var.shape), norm.var.dtype)
    return module


def _expected(params, statistics, inputs, *, trains):
    """Features, and the batch's mean and variance at each normalisation."""
    features, seen = np.float64(inputs), []
    for index in range(sum(name.startswith("dense_") for name in params)):
        features = reference.dense(params[f"dense_{index}"], features)
        norm = params.get(f"norm_{index}")
        if norm is not None:
            seen.append((features.mean(axis=0), features.var(axis=0)))
            running = statistics[f"norm_{index}"]
            mean, var = seen[-1] if trains else (running["mean"], running["var"])
            scaled = (features - np.float64(mean)) / np.sqrt(np.float64(var) + 1e-5)
            features = scaled * np.float64(norm["scale"]) + np.float64(norm["bias"])
        features = np.maximum(features, 0.0)
    return reference.dense(params["dense"], features), seen


@pytest.mark.parametrize("hidden", [(), (5,), (5, 4, 8)])
def test_without_normalisation_is_dense_layers_and_relu(x64, hidden):
    encoder, params = reference.randomized(_make(hidden, batch_norm=False, param_dtype=jnp.float64))
    assert len(params) == len(hidden) + 1
    assert _statistics(encoder) == {}
    expected, _ = _expected(params, {}, INPUTS, trains=True)
    np.testing.assert_allclose(run(encoder, jnp.asarray(INPUTS)), expected, rtol=1e-10)


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_follows_its_equations_in_both_modes(x64, mode):
    encoder, params = reference.randomized(_make(param_dtype=jnp.float64))
    encoder = _with_statistics(encoder)
    getattr(encoder, mode)()
    expected, _ = _expected(params, _statistics(encoder), INPUTS, trains=mode == "train")
    np.testing.assert_allclose(run(encoder, jnp.asarray(INPUTS)), expected, rtol=1e-9, atol=1e-9)


def test_training_moves_the_running_statistics_by_a_tenth():
    encoder, params = reference.randomized(_make())
    encoder = _with_statistics(encoder)
    before = _statistics(encoder)
    _, seen = _expected(params, before, INPUTS, trains=True)
    run(encoder, jnp.asarray(INPUTS, jnp.float32))
    after = _statistics(encoder)
    for index, (mean, var) in enumerate(seen):
        old, new = before[f"norm_{index}"], after[f"norm_{index}"]
        np.testing.assert_allclose(
            new["mean"], 0.9 * old["mean"] + 0.1 * mean, rtol=1e-4, atol=1e-5
        )
        np.testing.assert_allclose(new["var"], 0.9 * old["var"] + 0.1 * var, rtol=1e-4, atol=1e-5)


def test_a_large_mean_does_not_cancel():
    """The variance is taken about the mean: in float32 E[x²] − E[x]² would lose it."""
    encoder, params = reference.randomized(_make((5,)))
    shifted = jnp.asarray(INPUTS + 3e3, jnp.float32)
    expected, _ = _expected(params, _statistics(encoder), shifted, trains=True)
    np.testing.assert_allclose(run(encoder, shifted), expected, rtol=1e-2, atol=1e-2)


def test_dropout_zeroes_hidden_units_at_its_rate_and_scales_the_rest():
    encoder, _ = reference.randomized(_make((2048,), batch_norm=False, dropout=0.75))
    # Every hidden unit is 1, and the output is the mean of those that are left. All are powers of
    # two, whose sums are exact in any order.
    one = {"kernel": jnp.zeros((3, 2048)), "bias": jnp.ones(2048)}
    mean = {"kernel": jnp.full((2048, 6), 1 / 2048), "bias": jnp.zeros(6)}
    nnx.update(encoder, {"dense_0": one, "dense": mean})
    inputs = jnp.zeros((40, 3))
    features = run(encoder, inputs)
    kept = np.asarray(features[:, 0]) * 0.25 * 2048
    np.testing.assert_array_equal(kept, np.round(kept))
    assert abs(kept.mean() / 2048 - 0.25) < 0.01
    assert len(set(kept)) > 5
    assert jnp.abs(run(encoder, inputs) - features).max() > 1e-3
    encoder.eval()
    np.testing.assert_array_equal(run(encoder, inputs), jnp.ones((40, 6)))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"in_features": 0}, "in_features must be an integer >= 1, got 0"),
        ({"width": 0}, "width must be an integer >= 1, got 0"),
        ({"hidden": (4, 0)}, r"hidden is \(4, 0\); positive numbers"),
        ({"dropout": 1.5}, r"dropout must be a number in \[0, 1\), got 1.5"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, message):
    make = partial(FeedForwardEncoder, **({"in_features": 3} | arguments))
    with pytest.raises(ValueError, match=message):
        make(rngs=nnx.Rngs(0))
