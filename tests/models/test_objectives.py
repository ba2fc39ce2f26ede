import jax
import jax.numpy as jnp
import numpy as np
import optax

from masam_jax.models import cross_entropy_objective

LOGITS = jnp.array([[2.0, 0.0, -1.0], [0.0, 0.5, 0.0]], jnp.float32)
UNIMODAL = {"a": jnp.zeros((2, 3), jnp.float32), "b": 2 * LOGITS}
LABELS = jnp.array([0, 2], jnp.int32)


def _numpy_cross_entropy(logits):
    logits = np.asarray(logits, np.float64)
    return np.mean(np.log(np.exp(logits).sum(1)) - logits[np.arange(2), np.asarray(LABELS)])


def test_mean_cross_entropy_of_every_head():
    fusion, unimodal = cross_entropy_objective(LOGITS, UNIMODAL, LABELS)
    np.testing.assert_allclose(fusion, _numpy_cross_entropy(LOGITS), rtol=1e-6)
    np.testing.assert_allclose(unimodal["a"], np.log(3), rtol=1e-6)
    np.testing.assert_allclose(unimodal["b"], _numpy_cross_entropy(UNIMODAL["b"]), rtol=1e-6)


def test_losses_of_bfloat16_logits_are_float32():
    half = jax.tree.map(lambda x: x.astype(jnp.bfloat16), (LOGITS, UNIMODAL))
    fusion, unimodal = cross_entropy_objective(*half, LABELS)
    assert fusion.dtype == unimodal["a"].dtype == jnp.float32
    np.testing.assert_allclose(unimodal["a"], np.log(3), rtol=1e-6)


def test_losses_of_float64_logits_stay_float64(x64):
    logits = optax.tree.cast(LOGITS, jnp.float64)
    fusion, _ = cross_entropy_objective(logits, {}, LABELS)
    assert fusion.dtype == jnp.float64
    np.testing.assert_allclose(fusion, _numpy_cross_entropy(LOGITS), rtol=1e-14)
