"""Networks of one to three modalities with random parameters, and a batch for them."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from masam_jax.models import LateFusionNetwork, MLPEncoder

DIMS = {"b": 3, "a": 5, "c": 2}
WIDTHS = {"b": 2, "a": 4, "c": 3}
CLASSES = 4


def make_network(count, fusion, *, dtype=None, param_dtype=jnp.float64):
    """A network of ``a``, ``a, b`` or ``a, b, c``, none of whose parameters is zero."""
    names = sorted(DIMS)[:count]
    encoders = {
        m: partial(MLPEncoder, DIMS[m], WIDTHS[m], 2, dtype=dtype, param_dtype=param_dtype)
        for m in reversed(names)
    }
    network = LateFusionNetwork(
        encoders,
        {m: WIDTHS[m] for m in names},
        CLASSES,
        fusion=fusion,
        dtype=dtype,
        param_dtype=param_dtype,
    )
    rng = np.random.default_rng(count)
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    return network, jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape), x.dtype), shapes)


def make_batch(network, params, dtype=np.float64):
    """``(inputs, features, labels)`` of six samples."""
    rng = np.random.default_rng(11)
    inputs = {m: jnp.asarray(rng.normal(size=(6, DIMS[m])), dtype) for m in network.modalities}
    features = {m: network.encode(params, m, inputs[m]) for m in network.modalities}
    return inputs, features, jnp.asarray([0, 1, 2, 3, 0, 1], jnp.int32)
