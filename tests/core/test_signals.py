"""Signals between programs: what makes a new one, and keys that both points of a step use."""

import contextlib
import dataclasses
import enum
import functools
import logging

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from masam_jax import LateFusion, WeightedMean, masam, multimodal_value_and_grad, sam
from masam_jax.core.identity import made_of

PARAMS = {"a": jnp.asarray([0.5, -1.0]), "v": jnp.asarray([0.2, 0.8]), "h": jnp.asarray(0.7)}
X = jnp.asarray(np.random.default_rng(0).normal(size=(12, 2)), jnp.float32)
LABELS = {"a": "a", "v": "v", "h": "other"}


def encode(name, params, x, *rest):
    return jnp.tanh(x @ params[name])


def objective(params, features, x, scale=1.0, *rest):
    fusion = jnp.mean((scale * params["h"] * (features["a"] + features["v"]) - 1.0) ** 2)
    return fusion, {m: jnp.mean((z - 0.3) ** 2) for m, z in features.items()}


LATE = LateFusion({m: functools.partial(encode, m) for m in "av"}, objective)


def plain(params, x, scale=1.0, *rest):
    return objective(params, {m: encode(m, params, x) for m in "av"}, x, scale)


def with_options(params, x, scale, *, power):
    fusion, unimodal = plain(params, x, scale)
    return fusion**power, unimodal


class Network:
    """A loss that is a method."""

    def loss(self, params, x, scale):
        return plain(params, x, scale)


NETWORK = Network()
MADE_IN_THE_LOOP = {
    "the same function": lambda: plain,
    "a late fusion": lambda: LateFusion({m: functools.partial(encode, m) for m in "av"}, objective),
    "its call": lambda: (
        LateFusion({m: functools.partial(encode, m) for m in "av"}, objective).__call__
    ),
    "a partial function": lambda: functools.partial(with_options, power=2),
    "a method": lambda: NETWORK.loss,
}


@contextlib.contextmanager
def compilations(caplog):
    """The names of what is compiled inside."""
    names = []
    caplog.clear()
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        yield names
    names += [r.getMessage() for r in caplog.records if r.getMessage().startswith("Compiling")]


def train(make, scales, tx, weights=lambda step: 1.0):
    params, state, after = PARAMS, tx.init(PARAMS), []
    for step, scale in enumerate(scales):
        function = make(weights(step))
        _, grads, signals = function(params, X, scale)
        updates, state = tx.update(grads, state, params, **signals)
        params = optax.apply_updates(params, updates)
        after.append(params)
    return after


@pytest.mark.parametrize("name", MADE_IN_THE_LOOP)
@pytest.mark.parametrize("weights", ["fixed", "scheduled"])
def test_an_untraced_loop_compiles_nothing_after_its_first_steps(name, weights, caplog):
    # The host compiles a second pass for each modality: this is always the same.
    tx = optax.chain(masam(LABELS, select="a"), optax.sgd(0.1))

    def make(weight):
        return multimodal_value_and_grad(
            MADE_IN_THE_LOOP[name](), loss_weights={"a": 1.0, "v": weight}
        )

    schedule = (lambda step: 1.0) if weights == "fixed" else (lambda step: 1.0 + step)
    train(make, [1.0, 2.0], tx, schedule)
    with compilations(caplog) as compiled:
        train(make, [3.0, 4.0, 5.5], tx, schedule)
    assert compiled == []


@pytest.mark.parametrize("numbers", [(1.0, 2.0, 3.0), (1, 2, 3), (1.0, 2, 3.0)])
def test_a_number_that_changes_gives_the_numbers_of_a_traced_step(numbers):
    tx = optax.chain(masam(LABELS, rho=0.5), optax.sgd(0.1))
    function = multimodal_value_and_grad(plain)

    @jax.jit
    def step(params, state, scale):
        _, grads, signals = function(params, X, scale)
        updates, state = tx.update(grads, state, params, **signals)
        return optax.apply_updates(params, updates), state

    params, state = PARAMS, tx.init(PARAMS)
    for found, number in zip(train(lambda _: function, numbers, tx), numbers, strict=True):
        params, state = step(params, state, number)
        chex.assert_trees_all_close(found, params, rtol=1e-5)


def test_a_number_keeps_its_weak_type():
    seen = []

    def loss_fn(params, x, scale):
        scaled = params["a"] * scale
        seen.append((scaled.dtype, jnp.result_type(scale), getattr(scale, "weak_type", True)))
        return jnp.mean(scaled) + jnp.mean(x), {"a": jnp.mean(scaled)}

    half = {"a": jnp.asarray([0.5, 1.0], jnp.bfloat16)}
    _, grads, signals = multimodal_value_and_grad(loss_fn)(half, jnp.ones((), jnp.bfloat16), 0.1)
    jax.jit(lambda s: s(half))(signals["fusion_grad_fn"])
    assert {dtype for dtype, _, _ in seen} == {jnp.dtype("bfloat16")}
    assert all(weak for _, _, weak in seen)
    tx = masam({"a": "a"})
    tx.update(grads, tx.init(half), half, **signals)


def test_what_is_no_number_stays_static():
    class Mode(enum.Enum):
        ONE = 1

    @dataclasses.dataclass(frozen=True)
    class Config:
        power: int

    def loss_fn(params, x, flag, name, mode, config, function, seed):
        jax.random.key(seed)
        fusion, unimodal = plain(params, x)
        assert (flag, name, mode) == (True, "double", Mode.ONE)
        return function(fusion) ** config.power, unimodal

    static = (True, "double", Mode.ONE, Config(2), jnp.sin, 2**40)
    _, _, signals = multimodal_value_and_grad(loss_fn)(PARAMS, X, *static)
    traces = []

    @jax.jit
    def perturbed(fn):
        traces.append(1)
        return fn(PARAMS)

    want = jax.grad(lambda p: jnp.sin(plain(p, X)[0]) ** 2)(PARAMS)
    chex.assert_trees_all_close(perturbed(signals["fusion_grad_fn"]), want, rtol=1e-5)
    static = (*static[:3], Config(2), *static[4:])
    _, _, signals = multimodal_value_and_grad(loss_fn)(PARAMS, X, *static)
    perturbed(signals["fusion_grad_fn"])
    assert len(traces) == 1


def test_other_functions_make_other_programs():
    def gradient(loss_fn):
        _, _, signals = multimodal_value_and_grad(loss_fn)(PARAMS, X, 1.0)
        return call(signals["fusion_grad_fn"])

    call = jax.jit(lambda fn: fn(PARAMS))
    for power in (1, 2, 3):
        got = gradient(functools.partial(with_options, power=power))
        want = jax.grad(lambda p, n=power: plain(p, X)[0] ** n)(PARAMS)
        chex.assert_trees_all_close(got, want, rtol=1e-5)
    for shift in (1.0, 2.0):
        # Defined again, and so another function, though its code is the same.
        def shifted(params, x, scale, shift=shift):
            fusion, unimodal = plain(params, x, scale)
            return fusion * shift, unimodal

        want = jax.grad(lambda p, s=shift: plain(p, X)[0] * s)(PARAMS)
        chex.assert_trees_all_close(gradient(shifted), want, rtol=1e-5)
    table = np.ones(2, np.float32)
    for value in (1.0, 2.0):
        table[:] = value
        late = LateFusion(LATE.encoders, functools.partial(_with_table, table))
        want = jax.grad(lambda p, v=value: v * plain(p, X)[0])(PARAMS)
        chex.assert_trees_all_close(gradient(late), want, rtol=1e-5)


def _with_table(table, params, features, x, scale):
    fusion, unimodal = objective(params, features, x, scale)
    return fusion * table[0], unimodal


SAME = [
    (functools.partial(encode, "a"), functools.partial(encode, "a")),
    (NETWORK.loss, NETWORK.loss),
    ((1, "a", None, [2.0]), (1, "a", None, [2.0])),
    ({"a": functools.partial(encode, 1)}, {"a": functools.partial(encode, 1)}),
    (np.float32(1), np.float32(1)),
    (jnp.dtype("float32"), jnp.dtype("float32")),
]
DIFFERENT = [
    (functools.partial(encode, "a"), functools.partial(encode, "v")),
    (functools.partial(encode, x=1), functools.partial(encode, y=1)),
    (functools.partial(encode, 1), functools.partial(encode, True)),
    (functools.partial(encode, 0.0), functools.partial(encode, -0.0)),
    (functools.partial(encode, NETWORK), functools.partial(encode, NETWORK)),
    (functools.partial(encode, np.ones(2)), functools.partial(encode, np.ones(2))),
    (Network().loss, Network().loss),
    (lambda x: x, lambda x: x),
    ((1, 2), [1, 2]),
    (jnp.ones(2), jnp.ones(2)),
    (LATE, LateFusion(LATE.encoders, objective, check_encoders=False)),
]


@pytest.mark.parametrize(("left", "right"), SAME)
def test_made_of_the_same(left, right):
    assert made_of(left) == made_of(right)
    assert hash(made_of(left)) == hash(made_of(right))


@pytest.mark.parametrize(("left", "right"), DIFFERENT)
def test_made_of_something_else(left, right):
    assert made_of(left) != made_of(right)


def test_a_traced_weight_may_leave_with_the_signals():
    @jax.jit
    def run(params, weight):
        return multimodal_value_and_grad(plain, loss_weights=weight)(params, X)[2]

    signals = run(PARAMS, 3.0)
    want = jax.grad(lambda p: plain(p, X)[0] + 3 * sum(plain(p, X)[1].values()))(PARAMS)
    chex.assert_trees_all_close(signals["total_grad_fn"](PARAMS), want, rtol=1e-5)


# Keys.


def with_dropout(params, x, key, reuse=False):
    features = {}
    for i, m in enumerate("av"):
        own = key if reuse else jax.random.fold_in(key, i)
        kept = jax.random.bernoulli(own, 0.5, x.shape)
        features[m] = encode(m, params, jnp.where(kept, x, 0))
    return objective(params, features, x)


def _drop_out(name, params, x, key):
    own = jax.random.fold_in(key, "av".index(name))
    return encode(name, params, jnp.where(jax.random.bernoulli(own, 0.5, x.shape), x, 0))


WITH_DROPOUT = {
    "plain": with_dropout,
    "late": LateFusion(
        {m: functools.partial(_drop_out, m) for m in "av"},
        lambda params, features, x, key: objective(params, features, x),
    ),
}
LATE_DIRECT = LateFusion(
    {
        "a": lambda params, x, keys: encode("a", params, x + jax.random.normal(keys["a"], x.shape)),
        "v": lambda params, x, keys: encode("v", params, x + jax.random.normal(keys["v"], x.shape)),
    },
    lambda params, features, x, keys: objective(params, features, x),
)


def one_step(tx, loss_fn, params, x, key, **options):
    _, grads, signals = multimodal_value_and_grad(loss_fn, **options)(params, x, key)
    return tx.update(grads, tx.init(params), params, **signals)[0]


@pytest.mark.parametrize("path", ["plain", "late", "direct"])
@pytest.mark.parametrize("dispatch", ["auto", "dense", "switch", "host", "sam", "all"])
@pytest.mark.parametrize("compiled", [False, True], ids=["untraced", "jit"])
def test_keys_serve_both_points(path, dispatch, compiled):
    if dispatch == "host" and compiled:
        pytest.skip("the host needs an untraced step")
    tx = {
        "sam": lambda: sam(rho=0.1),
        "all": lambda: masam(LABELS, select="all"),
    }.get(dispatch, lambda: masam(LABELS, dispatch=dispatch))()
    loss_fn = LATE_DIRECT if path == "direct" else WITH_DROPOUT[path]
    step = functools.partial(one_step, tx, loss_fn)
    step = jax.jit(step) if compiled else step

    def key():
        keys = jax.random.split(jax.random.key(3), 2)
        return {"a": keys[0], "v": keys[1]} if path == "direct" else jax.random.key(3)

    want = step(PARAMS, X, key())
    with jax.debug_key_reuse(True):
        got = step(PARAMS, X, key())
    chex.assert_trees_all_equal(got, want)


@pytest.mark.parametrize("compiled", [False, True], ids=["untraced", "jit"])
@pytest.mark.parametrize("form", ["loss", "weighted"])
def test_keys_of_microbatches(form, compiled):
    def loss_fn(params, x, keys):
        fusion, unimodal = with_dropout(params, x, keys[0])
        if form == "weighted":
            unimodal = {m: WeightedMean(loss * len(x), len(x)) for m, loss in unimodal.items()}
        return fusion, unimodal

    step = functools.partial(one_step, masam(LABELS), loss_fn, microbatches=3)
    step = jax.jit(step) if compiled else step
    with jax.debug_key_reuse(True):
        updates = step(PARAMS, X, jax.random.split(jax.random.key(3), 12))
    chex.assert_trees_all_equal(updates, step(PARAMS, X, jax.random.split(jax.random.key(3), 12)))


def test_a_key_that_a_loss_uses_twice_is_still_found():
    reused = functools.partial(with_dropout, reuse=True)
    with jax.debug_key_reuse(True), pytest.raises(jax.errors.KeyReuseError):
        jax.jit(functools.partial(one_step, masam(LABELS), reused))(PARAMS, X, jax.random.key(0))
    with jax.debug_key_reuse(True), pytest.raises(jax.errors.KeyReuseError):
        one_step(masam(LABELS), reused, PARAMS, X, jax.random.key(0))


def test_a_key_that_the_objective_and_an_encoder_use_is_still_found():
    def direct(name):
        return lambda params, x, key: encode(name, params, x + jax.random.normal(key, x.shape))

    late = LateFusion({m: direct(m) for m in "av"}, lambda p, f, x, key: objective(p, f, x))
    with jax.debug_key_reuse(True), pytest.raises(jax.errors.KeyReuseError):
        jax.jit(functools.partial(one_step, masam(LABELS), late))(PARAMS, X, jax.random.key(0))
