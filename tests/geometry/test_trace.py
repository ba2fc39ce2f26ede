"""Traces are those of the dense Hessian, within the error that is reported."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from masam_jax.geometry import hessian_trace
from tests.geometry.dense import LABELS, dense_hessian, loss_fn, make_batches, make_params, slices

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def exact():
    hessian = dense_hessian(make_params(), make_batches())
    traces = {LABELS[name]: np.trace(hessian[where, where]) for name, where in slices().items()}
    return {"all": np.trace(hessian), **traces}


def test_the_reference_is_a_hessian_of_this_loss(x64):
    params, batches = make_params(np.float64), make_batches(dtype=np.float64)
    found = jax.hessian(lambda head: loss_fn(params | {"head": head}, batches[0]))(params["head"])
    where = slices()["head"]
    expected = dense_hessian(params, batches[:1])[where, where]
    np.testing.assert_allclose(found.reshape(expected.shape), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("method", "max_samples"),
    [("hutchinson", 8), ("hutchinson", 19), ("hutchinson", 1000), ("xtrace", 8), ("xtrace", 1000)],
)
def test_every_part_is_within_its_error(method, max_samples, exact):
    """Few samples of 20 to 24 parameters each, and as many as are needed."""
    found = hessian_trace(
        loss_fn,
        make_params(),
        make_batches(),
        labels=LABELS,
        key=KEY,
        method=method,
        max_samples=max_samples,
    )
    assert list(found) == ["all", "audio", "video", "other"]
    for name, estimate in found.items():
        error = 4 * estimate.standard_error + 1e-4
        assert estimate.mean == pytest.approx(exact[name], abs=error), name
        assert estimate.samples <= max_samples * (3 if name == "all" else 1)
        is_small = estimate.standard_error <= 0.05 * abs(estimate.mean)
        assert estimate.reached == is_small
        assert is_small or max_samples < 1000


def test_the_whole_alone(exact):
    found = hessian_trace(loss_fn, make_params(), make_batches(), key=KEY, max_samples=64)
    assert list(found) == ["all"]
    assert 0 < found["all"].standard_error < 0.5 * found["all"].mean
    error = 4 * found["all"].standard_error
    assert found["all"].mean == pytest.approx(exact["all"], abs=error)


def test_the_error_is_honest():
    """Of 60 estimates, the deviations over the reported errors have a variance of about 1."""
    matrix = np.random.default_rng(0).normal(size=(40, 40)).astype(np.float32)
    matrix = matrix @ matrix.T

    def quadratic(params, batch):
        return 0.5 * params @ batch @ params

    scores = []
    for seed in range(60):
        (found,) = hessian_trace(
            quadratic, jnp.ones(40), [matrix], key=jax.random.key(seed), max_samples=16
        ).values()
        scores.append((found.mean - np.trace(matrix)) / found.standard_error)
    assert 0.6 < np.mean(np.square(scores)) < 1.7


def test_a_loss_without_forward_mode(exact):
    """Part of it is a ``custom_vjp``, as kernels of others are."""

    @jax.custom_vjp
    def head(features, weights):
        return features @ weights

    head.defvjp(
        lambda features, weights: (features @ weights, (features, weights)),
        lambda kept, gradient: (gradient @ kept[1].T, kept[0].T @ gradient),
    )

    def custom(params, batch):
        audio, video, labels = batch
        features = [jnp.tanh(audio @ params["audio"]), jnp.tanh(video @ params["video"])]
        logits = head(jnp.concatenate(features, axis=1), params["head"])
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    (found,) = hessian_trace(custom, make_params(), make_batches(), key=KEY).values()
    # As many unit vectors as parameters.
    assert found.mean == pytest.approx(exact["all"], rel=1e-4)


def test_batches_weigh_alike():
    """The second has four times the samples of the first, and no more weight."""
    params, batches = make_params(), make_batches(sizes=(4, 16))
    hessian = dense_hessian(params, batches)
    found = hessian_trace(loss_fn, params, batches, labels=LABELS, key=KEY)
    where = slices()["audio"]
    # As many unit vectors as there are parameters, and so exact.
    assert found["audio"].standard_error == 0
    assert found["audio"].samples == 24
    assert found["audio"].mean == pytest.approx(np.trace(hessian[where, where]), abs=1e-4)
    mean = np.mean([float(loss_fn(params, batch)) for batch in batches])
    assert found["all"].loss == pytest.approx(mean, rel=1e-5)


def test_batches_may_come_from_a_reader():
    """Which reads them anew for every four vectors."""
    reads = []

    class Reader:
        def __iter__(self):
            reads.append(1)
            return iter(make_batches())

    read, listed = (
        hessian_trace(loss_fn, make_params(), batches, key=KEY, max_samples=16)
        for batches in (Reader(), make_batches())
    )
    assert read == listed
    # Once for the check of what it is, once for the loss.
    assert len(reads) == 1 + 1 + 4


def test_norms_are_those_of_the_parts():
    params = make_params()
    found = hessian_trace(loss_fn, params, make_batches(), labels=LABELS, key=KEY, max_samples=2)
    assert found["audio"].norm == pytest.approx(np.linalg.norm(params["audio"]), rel=1e-5)
    whole = np.concatenate([leaf.ravel() for leaf in params.values()])
    assert found["all"].norm == pytest.approx(np.linalg.norm(whole), rel=1e-5)


def test_it_says_that_the_error_is_not_reached():
    found = hessian_trace(
        loss_fn, make_params(), make_batches(), key=KEY, relative_error=1e-6, max_samples=20
    )["all"]
    assert (found.reached, found.samples) == (False, 20)
    assert "more than asked for" in str(found)


def test_an_exact_part_beside_one_that_is_not_reached():
    """It has nothing to add to the whole's error, and is not asked again."""
    matrix = np.random.default_rng(0).normal(size=(40, 40)).astype(np.float32)

    def quadratic(params, batch):
        return params["large"] @ batch @ params["large"] + jnp.sum(params["small"] ** 2)

    found = hessian_trace(
        quadratic,
        {"large": jnp.ones(40), "small": jnp.ones(4)},
        [matrix],
        labels={"large": "large", "small": "small"},
        key=KEY,
        relative_error=1e-4,
        max_samples=20,
    )
    assert {name: each.reached for name, each in found.items()} == {
        "all": False,
        "large": False,
        "small": True,
    }
    assert found["small"].mean == 8


def test_vectors_at_once_change_no_number():
    def with_(at_once):
        return hessian_trace(
            loss_fn, make_params(), make_batches(), key=KEY, max_samples=16, at_once=at_once
        )

    assert with_(1) == with_(5)


def test_another_call_does_not_compile_again():
    traced = []

    def counted(params, batch):
        traced.append(1)
        return loss_fn(params, batch)

    for scale in (1.0, 2.0):
        params = jax.tree.map(lambda leaf: np.float32(scale) * leaf, make_params())  # noqa: B023
        hessian_trace(counted, params, make_batches(), labels=LABELS, key=KEY, max_samples=2)
        if scale == 1.0:
            before = len(traced)
    assert len(traced) == before


@pytest.mark.parametrize("method", ["hutchinson", "xtrace"])
def test_batches_sharded_over_devices(method):
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    batches = make_batches()
    alone, sharded = (
        hessian_trace(loss_fn, make_params(), each, key=KEY, method=method, max_samples=8)["all"]
        for each in (batches, jax.device_put(batches, sharding))
    )
    assert sharded.mean == pytest.approx(alone.mean, rel=1e-4)


def test_half_precision_is_widened():
    """The trace is the one of the same numbers in float32."""
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), make_params())
    full = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), half)
    found, expected = (
        hessian_trace(loss_fn, params, make_batches(), key=KEY, max_samples=16)
        for params in (half, full)
    )
    assert found == expected


def test_double_precision(x64):
    params, batches = make_params(np.float64), make_batches(dtype=np.float64)
    found = hessian_trace(loss_fn, params, batches, labels=LABELS, key=KEY)
    hessian = dense_hessian(params, batches)
    where = slices()["video"]
    assert found["video"].mean == pytest.approx(np.trace(hessian[where, where]), abs=1e-5)


WRONG = {
    "no batch": ({"batches": []}, "batches is empty"),
    "read only once": ({"batches": iter(make_batches())}, "read more than once.*list_iterator"),
    "a mapping": ({"batches": {"x": 1}}, r"such as \[batch\], got dict"),
    "labels": ({"labels": {"audio": "audio"}}, "labels must be a tree of strings"),
    "all": ({"labels": {**LABELS, "audio": "all"}}, "a modality 'all', which stands for"),
    "a method": ({"method": "exact"}, r"method must be one of .*got 'exact'"),
    "an error": ({"relative_error": 0.0}, "relative_error must be a finite number > 0, got 0.0"),
    "one sample": ({"max_samples": 1}, "max_samples must be an integer >= 2, got 1"),
    "at once": ({"at_once": 0}, "at_once must be an integer >= 1, got 0"),
    "integers": ({"params": {"w": np.int32(1)}}, r"params\['w'\] is int32"),
    "not finite": ({"loss_fn": lambda p, b: jnp.nan * p["head"].sum()}, "loss of batch 0 is nan"),
    "no derivative": (
        {"loss_fn": lambda p, b: jnp.sqrt(jnp.sum((p["head"] - p["head"]) ** 2))},
        "its Hessian is not",
    ),
    "no function": ({"loss_fn": 1.0}, r"loss_fn must be a function of \(params, batch\)"),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_mistakes(change, message):
    arguments = {
        "loss_fn": loss_fn,
        "params": make_params(),
        "batches": make_batches(),
        "key": KEY,
    } | change
    with pytest.raises(ValueError, match=message):
        hessian_trace(**arguments)


def test_a_loss_of_every_sample_is_none():
    with pytest.raises(TypeError, match=r"a real scalar, got shape \(3,\)"):
        hessian_trace(lambda p, b: p["head"].sum(axis=0), make_params(), make_batches(), key=KEY)


@pytest.mark.parametrize("running", [True, False])
def test_batch_normalisation_needs_running_statistics(running):
    """With them a sample's loss is its own, and it does not matter how samples are batched."""
    params = {"first": make_params()["audio"], "second": np.ones((4, 1), np.float32)}
    (inputs, _, labels), *_ = make_batches(sizes=(16,))
    inputs = inputs * np.linspace(0.5, 2.0, 16, dtype=np.float32)[:, None]

    def normalised(params, batch):
        inputs, labels, statistics = batch
        hidden = inputs @ params["first"]
        mean, variance = statistics if running else (hidden.mean(axis=0), hidden.var(axis=0))
        hidden = jnp.tanh((hidden - mean[None]) / jnp.sqrt(variance[None] + 1e-5))
        return jnp.mean(((hidden @ params["second"])[:, 0] - labels) ** 2)

    labels = labels.astype(np.float32)
    kept = (np.zeros(4, np.float32), np.full(4, 2.0, np.float32))
    whole = [(inputs, labels, kept)]
    halves = [(inputs[part], labels[part], kept) for part in (slice(8), slice(8, None))]
    one, two = (
        hessian_trace(normalised, params, batches, key=KEY, max_samples=28)["all"].mean
        for batches in (whole, halves)
    )
    assert (one == pytest.approx(two, rel=1e-4)) == running
