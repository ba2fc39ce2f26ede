"""Wrappers of optax and Flax around a look-ahead: what works, and what says why it does not."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.training.train_state import TrainState

from masam_jax import asam, label_by_path, masam, multimodal_value_and_grad, sam
from masam_jax.core.partition import resolve_partition
from masam_jax.methods.agm import agm
from masam_jax.methods.m_sam import m_sam
from masam_jax.methods.mmpareto import mmpareto
from masam_jax.methods.ogm_ge import ogm_ge
from tests.contract.contract import assert_same

PARAMS = {
    "audio": jnp.asarray([0.5, -1.0]),
    "video": jnp.asarray([2.0, 1.0, 0.3]),
    "head": jnp.asarray(0.5),
}
LABELS = label_by_path({"audio": "audio", "video": "video", "head": "other"})
LOOKING_AHEAD = {"masam": masam(LABELS), "sam": sam(), "asam": asam()}


def loss_fn(params):
    joint = params["head"] * (params["audio"].sum() + (params["video"] ** 2).sum())
    return (joint - 1) ** 2, {m: jnp.sum(params[m] ** 2) for m in ("audio", "video")}


value_and_grad = multimodal_value_and_grad(loss_fn)


@pytest.fixture
def signals():
    return value_and_grad(PARAMS)[1:]


@pytest.mark.parametrize("factory", [masam, m_sam, agm, ogm_ge, mmpareto])
def test_labels_that_are_taken_for_a_schedule_are_told_what_helps(factory):
    with pytest.raises(ValueError, match=r'step count .*static_args=\("labels",\)'):
        optax.inject_hyperparams(factory)(LABELS).init(PARAMS)
    optax.inject_hyperparams(factory, static_args=("labels",))(LABELS).init(PARAMS)


@pytest.mark.parametrize(
    "count", [3, np.int32(3), jnp.asarray(3), jax.ShapeDtypeStruct((), jnp.uint8)]
)
def test_no_step_count_passes_for_parameters(count):
    """These rules cover the empty path too, and would call every parameter audio."""
    labels = label_by_path({"^(?!.*video)": "audio", "": "video"})
    with pytest.raises(ValueError, match="step count"):
        labels(count)
    assert resolve_partition(labels, {"x": 0.0, "video": 0.0}).leaf_labels == ("video", "audio")
    assert labels(jnp.ones(())) == "audio"


@pytest.mark.parametrize("factory", [masam, sam, asam])
def test_injected_schedules_are_the_transformation_s_own(factory, signals):
    """A radius of 1 / (1 + t) in the state, and the same as an argument, after three steps."""
    arguments = (LABELS,) if factory is masam else ()
    static = ("labels",) if factory is masam else ()
    grads, extra = signals

    def radius(count):
        return 1 / (1 + jnp.asarray(count, jnp.float32))

    injected = optax.inject_hyperparams(factory, static_args=static)(*arguments, rho=radius)
    plain = factory(*arguments, rho=radius)
    state, plain_state = injected.init(PARAMS), plain.init(PARAMS)
    for _ in range(3):
        updates, state = injected.update(grads, state, PARAMS, **extra)
        want, plain_state = plain.update(grads, plain_state, PARAMS, **extra)
    assert float(state.hyperparams["rho"]) == pytest.approx(1 / 3)
    assert_same(updates, want)


@pytest.mark.parametrize("method", ["sam", "asam"])
def test_sam_inside_flatten_is_told_where_it_belongs(method, signals):
    grads, extra = signals
    tx = optax.flatten(LOOKING_AHEAD[method])
    with pytest.raises(ValueError, match=r"total_grads .* as inside optax\.flatten: put .* before"):
        tx.update(grads, tx.init(PARAMS), PARAMS, **extra)


@pytest.mark.parametrize("method", LOOKING_AHEAD)
def test_before_flatten_in_a_chain(method, signals):
    grads, extra = signals
    base = optax.sgd(0.1)
    tx, want = (optax.chain(LOOKING_AHEAD[method], end) for end in (optax.flatten(base), base))
    assert_same(
        tx.update(grads, tx.init(PARAMS), PARAMS, **extra)[0],
        want.update(grads, want.init(PARAMS), PARAMS, **extra)[0],
    )


@pytest.mark.parametrize("method", LOOKING_AHEAD)
def test_a_vector_of_parameters_is_no_flattened_tree(method):
    """Parameters may be one array, where the loss takes one."""
    params = jnp.asarray([1.0, 2.0, 3.0])
    tx = masam("audio") if method == "masam" else LOOKING_AHEAD[method]
    _, grads, extra = multimodal_value_and_grad(
        lambda p: (jnp.sum(p**4), {"audio": jnp.sum(p**2)})
    )(params)
    updates, _ = tx.update(grads, tx.init(params), params, **extra)
    assert bool(jnp.all(updates != grads))


@pytest.mark.parametrize("method", LOOKING_AHEAD)
def test_apply_if_finite_around_a_chain(method, signals):
    """A step whose gradient is not finite leaves parameters and state as they were."""
    grads, extra = signals
    chain = optax.chain(LOOKING_AHEAD[method], optax.sgd(0.1))
    tx = optax.apply_if_finite(chain, max_consecutive_errors=3)
    update, state = jax.jit(tx.update), tx.init(PARAMS)
    want, after = chain.update(grads, chain.init(PARAMS), PARAMS, **extra)
    updates, state = update(grads, state, PARAMS, **extra)
    assert_same((updates, state.inner_state), (want, after))
    broken = grads | {"head": jnp.asarray(jnp.nan)}
    updates, state = update(broken, state, PARAMS, **extra)
    assert not any(leaf.any() for leaf in jax.tree.leaves(updates))
    assert_same(state.inner_state, after)


def test_linen_s_train_state_drops_signals_and_its_subclass_passes_them_on(signals):
    grads, extra = signals
    tx = optax.chain(LOOKING_AHEAD["masam"], optax.sgd(0.1))

    class MultimodalState(TrainState):
        def apply_gradients(self, *, grads, **signals):
            updates, opt_state = self.tx.update(grads, self.opt_state, self.params, **signals)
            params = optax.apply_updates(self.params, updates)
            return self.replace(step=self.step + 1, params=params, opt_state=opt_state)

    plain = TrainState.create(apply_fn=None, params=PARAMS, tx=tx)
    with pytest.raises(ValueError, match=r"TrainState\.apply_gradients.*With other libraries"):
        plain.apply_gradients(grads=grads, **extra)
    state = MultimodalState.create(apply_fn=None, params=PARAMS, tx=tx)
    state = state.apply_gradients(grads=grads, **extra)
    updates, opt_state = tx.update(grads, tx.init(PARAMS), PARAMS, **extra)
    assert_same((state.params, state.opt_state), (optax.apply_updates(PARAMS, updates), opt_state))


@pytest.mark.parametrize("method", LOOKING_AHEAD)
def test_lookahead_after_the_correction(method):
    """Until it synchronises, the fast parameters take the steps of the chain."""
    correction, base = LOOKING_AHEAD[method], optax.sgd(0.01)
    ahead = optax.lookahead(base, sync_period=3, slow_step_size=0.5)
    pair, params = optax.LookaheadParams.init_synced(PARAMS), PARAMS
    state, ahead_state, plain_state = (
        correction.init(PARAMS),
        ahead.init(pair),
        correction.init(PARAMS),
    )
    for _ in range(3):
        _, grads, extra = value_and_grad(pair.fast)
        corrected, state = correction.update(grads, state, pair.fast, **extra)
        with jax.numpy_dtype_promotion("standard"):
            updates, ahead_state = ahead.update(corrected, ahead_state, pair)
        pair = optax.apply_updates(pair, updates)
        _, grads, extra = value_and_grad(params)
        corrected, plain_state = correction.update(grads, plain_state, params, **extra)
        params = jax.tree.map(lambda p, g: p - 0.01 * g, params, corrected)
    assert_same(pair.fast, jax.tree.map(lambda a, b: (a + b) / 2, PARAMS, params))
    assert_same(pair.slow, pair.fast)
