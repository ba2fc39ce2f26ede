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


# --- parameters of 16 bits ---

PARAMS = np.random.default_rng(0).normal(size=400)
GRADIENT = np.random.default_rng(1).normal(size=400)


def point_of(name, perturbed_dtype, dtype=jnp.bfloat16, refuses=False):
    """The perturbed point of a small radius, and ε as it should be, NumPy in float64."""
    points = []

    def total_grad_fn(point):
        if refuses and point["w"].dtype == jnp.float32:
            raise TypeError("16 bits alone")
        points.append(point["w"])
        return jax.tree.map(jnp.ones_like, point)

    rho = 0.02 if name == "sam" else 0.1
    tx = FACTORIES[name](rho=rho, perturbed_dtype=perturbed_dtype)
    params, grads = ({"w": jnp.asarray(x, dtype).reshape(20, 20)} for x in (PARAMS, GRADIENT))
    updates, _ = tx.update(
        grads, tx.init(params), params, total_grads=grads, total_grad_fn=total_grad_fn
    )
    assert updates["w"].dtype == dtype
    start, g = (np.asarray(tree["w"], np.float64) for tree in (params, grads))
    t = np.abs(start) + 0.01 if name == "asam" else np.ones_like(start)
    return points[-1], start, rho * t**2 * g / np.linalg.norm(t * g)


@pytest.mark.parametrize("name", FACTORIES)
@pytest.mark.parametrize("perturbed_dtype", ["auto", "float32"])
def test_a_small_perturbation_of_narrow_parameters_is_not_rounded_away(name, perturbed_dtype):
    point, start, epsilon = point_of(name, perturbed_dtype)
    assert point.dtype == jnp.float32
    np.testing.assert_allclose(np.asarray(point, np.float64) - start, epsilon, atol=1e-6)


@pytest.mark.parametrize("name", FACTORIES)
def test_narrow_points_round(name):
    """As before there was a choice, and where a loss takes no other dtype."""
    for point, start, epsilon in (
        point_of(name, "parameters"),
        point_of(name, "auto", refuses=True),
    ):
        assert point.dtype == jnp.bfloat16
        moved = np.asarray(point, np.float64) - start
        assert np.linalg.norm(moved - epsilon) > 0.1 * np.linalg.norm(epsilon)
    with pytest.raises(TypeError, match="16 bits alone"):
        point_of(name, "float32", refuses=True)


@pytest.mark.parametrize("name", FACTORIES)
def test_wide_parameters_know_no_difference(name):
    one, other = (point_of(name, kind, jnp.float32)[0] for kind in ("auto", "parameters"))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", FACTORIES)
def test_another_dtype_is_refused(name):
    with pytest.raises(ValueError, match=r"perturbed_dtype must be one of .*'bfloat16'"):
        FACTORIES[name](perturbed_dtype="bfloat16")
