"""What `sam` and `asam` share: differences that overflow, and updates that keep their bits."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from masam_jax import sam
from masam_jax.methods.asam import asam

FACTORIES = {"sam": sam, "asam": asam}


def corrected(tx, updates, here, there):
    params = jax.tree.map(jnp.ones_like, updates)

    @jax.jit
    def step(updates):
        return tx.update(
            updates,
            tx.init(params),
            params,
            total_grads=here,
            total_grad_fn=lambda point: there,
        )[0]

    return step(updates)


def full(value, dtype):
    return {"w": jnp.full(2, value, dtype)}


@pytest.mark.parametrize("name", FACTORIES)
def test_a_difference_that_overflows_in_between_is_right(name):
    """-40000 + (40000 - -40000) is 40000 in float16, though the difference is infinite there."""
    low, high = full(-40000, jnp.float16), full(40000, jnp.float16)
    got = corrected(FACTORIES[name](rho=0.5), low, low, high)
    np.testing.assert_array_equal(got["w"], np.float16([40000, 40000]))


@pytest.mark.parametrize("name", FACTORIES)
def test_a_correction_that_overflows_leaves_the_updates(name):
    low, high = full(-40000, jnp.float16), full(60000, jnp.float16)
    got = corrected(FACTORIES[name](rho=0.5), high, low, high)
    np.testing.assert_array_equal(got["w"], np.float16([60000, 60000]))


@pytest.mark.parametrize("name", FACTORIES)
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32])
def test_a_clean_step_keeps_the_bits(name, dtype):
    tiny = float(ml_dtypes.finfo(dtype).smallest_subnormal)
    updates = {"w": jnp.asarray(np.asarray([-0.0, tiny, -tiny]).astype(dtype))}
    ones = {"w": jnp.ones(3, dtype)}
    got = corrected(FACTORIES[name](rho=0.0), updates, ones, {"w": ones["w"] + ones["w"]})
    kept, given = (np.asarray(tree["w"]).view(np.uint8) for tree in (got, updates))
    np.testing.assert_array_equal(kept, given)
