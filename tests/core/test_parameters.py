"""Parameters that the transformations cannot do with are named, with what to do about them."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from masam_jax import asam, masam, multimodal_value_and_grad, sam
from masam_jax.core.partition import check_parameters
from masam_jax.methods.agm import agm
from masam_jax.methods.info_reg import info_reg
from masam_jax.methods.m_sam import m_sam
from masam_jax.methods.mla import mla
from masam_jax.methods.mmpareto import mmpareto
from masam_jax.methods.ogm_ge import ogm_ge

LABELS = {"encoder": "a", "head": "other"}
METHODS = {
    "masam": masam(LABELS),
    "sam": sam(),
    "asam": asam(),
    "m_sam": m_sam(LABELS),
    "agm": agm(LABELS),
    "ogm_ge": ogm_ge(LABELS),
    "mmpareto": mmpareto(LABELS),
    "mla": mla(LABELS, head="encoder/bias", steps_per_epoch=1),
    "info_reg": info_reg(LABELS, steps_per_epoch=1),
}
KEY = jax.random.key(0)
COMPLEX = [jnp.ones(2, jnp.complex64), np.ones(2, np.complex128), 1j]
WITHOUT_GRADIENT = {
    "int32": jnp.ones(2, jnp.int32),
    "int4": jax.ShapeDtypeStruct((2,), jnp.int4),
    "uint8": np.ones(2, np.uint8),
    "int64": 1,
    "bool": True,
    "key<fry>": KEY,
    "str": "weights",
    "function": lambda x: x,
    "ndarray": np.array([None]),
}


def tree(leaf):
    return {"encoder": {"bias": jnp.ones(1), "kernel": leaf}, "head": jnp.ones(1)}


@pytest.mark.parametrize("leaf", COMPLEX, ids=["jax", "numpy", "Python"])
@pytest.mark.parametrize("method", METHODS)
def test_complex_parameters_are_refused_at_init(method, leaf):
    message = r"params\['encoder/kernel'\] is complex\d+, .*two leaves.*jax\.lax\.complex"
    with pytest.raises(ValueError, match=message):
        METHODS[method].init(tree(leaf))


@pytest.mark.parametrize("dtype", WITHOUT_GRADIENT)
@pytest.mark.parametrize("method", ["masam", "sam", "asam", "agm"])
def test_leaves_without_a_gradient_are_refused_at_init(method, dtype):
    message = rf"params\['encoder/kernel'\] is {dtype}, .*Close over it .* further argument"
    with pytest.raises(ValueError, match=message):
        METHODS[method].init(tree(WITHOUT_GRADIENT[dtype]))


@pytest.mark.parametrize("dtype", sorted(set(WITHOUT_GRADIENT) - {"int4"}))
def test_leaves_without_a_gradient_are_refused_by_the_gradient_function(dtype):
    value_and_grad = multimodal_value_and_grad(lambda params: (params["head"].sum(), {}))
    with pytest.raises(ValueError, match=rf"params\['encoder/kernel'\] is {dtype}"):
        value_and_grad(tree(WITHOUT_GRADIENT[dtype]))


def test_what_parameters_may_be():
    leaves = [
        1.0,
        np.float32(1),
        np.ones(2),
        jnp.ones(2, jnp.bfloat16),
        jax.ShapeDtypeStruct((2,), jnp.float8_e4m3fn),
    ]
    for params in (*map(tree, leaves), {}, jax.eval_shape(lambda: tree(jnp.ones(3, jnp.float16)))):
        check_parameters(params)
    jax.jit(lambda x: check_parameters(tree(x)))(jnp.ones(2))


def test_placeholders_without_leaves_are_let_through():
    tx = sam()
    state = tx.init(tree(jnp.ones(2)))
    assert optax.tree.map_params(tx, lambda x: x + 1, state) == state


def test_complex_parameters_have_gradients():
    """JAX gives a real loss of z the conjugate: dL/da - i dL/db."""
    value_and_grad = multimodal_value_and_grad(lambda p: (jnp.abs(p["z"]) ** 2, {"z": p["z"].real}))
    _, grads, signals = value_and_grad({"z": jnp.asarray(1.0 + 2.0j)})
    np.testing.assert_allclose(signals["fusion_grads"]["z"], 2 * (1 - 2j), rtol=1e-6)
    np.testing.assert_allclose(grads["z"], 3 - 4j, rtol=1e-6)


def test_the_cure_of_complex_parameters_is_a_step_along_both_parts():
    """ε = ρ g / ‖g‖ over real and imaginary parts: for |z|⁴ / 4 the gradient at z + ε is known."""
    z = np.array([0.6 - 0.8j, 0.3 + 0.4j])

    def loss_fn(params):
        joined = jax.lax.complex(params["real"], params["imaginary"])
        return jnp.sum(jnp.abs(joined) ** 4) / 4, {"z": jnp.zeros(())}

    params = {
        "real": jnp.asarray(z.real, jnp.float32),
        "imaginary": jnp.asarray(z.imag, jnp.float32),
    }
    _, grads, signals = multimodal_value_and_grad(loss_fn)(params)
    tx = sam(rho=0.1)
    updates, _ = tx.update(grads, tx.init(params), params, **signals)
    gradient = np.abs(z) ** 2 * z
    moved = z + 0.1 * gradient / np.sqrt(np.sum(np.abs(gradient) ** 2))
    want = np.abs(moved) ** 2 * moved
    np.testing.assert_allclose(updates["real"], want.real, rtol=1e-5)
    np.testing.assert_allclose(updates["imaginary"], want.imag, rtol=1e-5)
