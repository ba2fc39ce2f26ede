"""Parameters of fewer than 32 bits: the perturbed point, the radius reached, no overflow."""

from __future__ import annotations

from typing import Any

import chex
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import optax
import pytest

from masam_jax import masam, masam_metrics, multimodal_value_and_grad

LABELS = {"audio": "audio", "video": "video", "head": "other"}
DTYPES = [jnp.bfloat16, jnp.float16]
SIZE = 4096


def draws(dtype: Any) -> tuple[Any, Any]:
    """Parameters and a fusion gradient: independent, and standard normal before rounding."""
    generator = np.random.default_rng(0)
    shapes = {"audio": (SIZE,), "video": (64, SIZE // 64), "head": (3,)}
    params, grads = (
        {m: jnp.asarray(generator.standard_normal(shape), dtype) for m, shape in shapes.items()}
        for _ in range(2)
    )
    return params, grads


def look_ahead(dtype: Any, **options: Any) -> tuple[Any, Any, Any, Any]:
    """Parameters, fusion gradient, perturbed point, and metrics of one step of all modalities."""
    params, grads = draws(dtype)
    points = []

    def fusion_grad_fn(point: Any, modality: str | None = None) -> Any:
        points.append(point)
        return jax.tree.map(lambda g: g.astype(dtype), grads)

    losses = {m: jnp.float32(1.0) for m in ("audio", "video")}
    tx = masam(LABELS, select="all", scale_by_alignment=False, **options)
    _, state = tx.update(
        grads,
        tx.init(params),
        params,
        fusion_grads=grads,
        unimodal_grads=grads,
        unimodal_losses=losses,
        fusion_grad_fn=fusion_grad_fn,
    )
    # Whether the loss takes float32 is tried out first.
    return params, grads, points[-1], masam_metrics(state)


def one_step(
    tx: Any, params: Any, updates: Any, fusion: Any, unimodal: Any, there: Any, **signals: Any
) -> tuple[Any, Any]:
    """``(updates, state)`` after the first step, with losses of 1 and a made-up second gradient."""
    return tx.update(
        updates,
        tx.init(params),
        params,
        fusion_grads=fusion,
        unimodal_grads=unimodal,
        unimodal_losses={m: jnp.float32(1) for m in ("audio", "video")},
        fusion_grad_fn=lambda point, m: there,
        **signals,
    )


def run(dispatch: str, step: Any) -> Any:
    """``step()``, traced unless the host decides."""
    return step() if dispatch == "host" else jax.jit(step)()


def reached(params: Any, grads: Any, point: Any, m: str) -> tuple[float, float]:
    """``‖ε‖₂`` over ``‖θ‖₂``, and the cosine of ε and the gradient, in NumPy."""
    before, after, along = (
        np.asarray(tree[m]).astype(np.float64).ravel() for tree in (params, point, grads)
    )
    epsilon = after - before
    radius = np.linalg.norm(epsilon)
    return radius / np.linalg.norm(before), epsilon @ along / radius / np.linalg.norm(along)


@pytest.mark.parametrize("perturbed_dtype", ["auto", "float32"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("of_epsilon", [1.0, 1 / 16, 1 / 256])
def test_a_float32_point_keeps_the_perturbation(
    dtype: Any, perturbed_dtype: Any, of_epsilon: float
) -> None:
    rho = of_epsilon * float(jnp.finfo(dtype).eps)
    params, grads, point, metrics = look_ahead(
        dtype, rho=rho, radius="relative", perturbed_dtype=perturbed_dtype
    )
    for m in ("audio", "video"):
        assert point[m].dtype == jnp.float32
        radius, cosine = reached(params, grads, point, m)
        # float32 rounds as well: by 2e-5 of a radius of 4e-6 norms (float16, 1/256 ε), at most.
        np.testing.assert_allclose([radius / rho, cosine], 1, atol=0.01)
        norm = np.linalg.norm(np.asarray(params[m]).astype(np.float64))
        np.testing.assert_allclose(float(metrics[f"radius/{m}"]), radius * norm, rtol=1e-3)
    assert point["head"].dtype == dtype


@pytest.mark.parametrize("dtype", DTYPES)
def test_rounding_spares_a_radius_of_one_machine_epsilon_in_norms(dtype: Any) -> None:
    """The bound of the docs: at ε_machine ‖θ_m‖ little is lost, a 16th of it is noise."""
    epsilon = float(jnp.finfo(dtype).eps)
    options: dict[str, Any] = {"radius": "relative", "perturbed_dtype": "parameters"}
    params, grads, point, metrics = look_ahead(dtype, rho=epsilon, **options)
    for m in ("audio", "video"):
        assert point[m].dtype == dtype
        radius, cosine = reached(params, grads, point, m)
        assert cosine > 0.95
        assert abs(radius / epsilon - 1) < 0.1
        norm = np.linalg.norm(np.asarray(params[m]).astype(np.float64))
        np.testing.assert_allclose(float(metrics[f"radius/{m}"]), radius * norm, rtol=1e-3)
    params, grads, point, metrics = look_ahead(dtype, rho=epsilon / 16, **options)
    for m in ("audio", "video"):
        radius, cosine = reached(params, grads, point, m)
        assert cosine < 0.8
        assert abs(radius / (epsilon / 16) - 1) > 0.3
        norm = np.linalg.norm(np.asarray(params[m]).astype(np.float64))
        np.testing.assert_allclose(float(metrics[f"radius/{m}"]), radius * norm, rtol=1e-3)


@pytest.mark.parametrize("dispatch", ["dense", "switch", "host"])
def test_the_radius_is_that_of_the_perturbed_modality(dispatch: Any) -> None:
    params, grads = draws(jnp.bfloat16)
    tx = masam(LABELS, rho=0.05, alpha=1.0, dispatch=dispatch)
    state, signals = tx.init(params), {"fusion_grads": grads, "unimodal_grads": grads}

    def step(state: Any, losses: Any) -> Any:
        return tx.update(
            grads,
            state,
            params,
            unimodal_losses=losses,
            fusion_grad_fn=lambda point, m: grads,
            **signals,
        )[1]

    step = step if dispatch == "host" else jax.jit(step)
    for losses in ((3.0, 3.0), (3.0, 1.0)):
        state = step(state, dict(zip(("audio", "video"), map(jnp.float32, losses), strict=True)))
    metrics = masam_metrics(state)
    assert metrics["dominant"] == "video"
    assert float(metrics["radius/audio"]) == 0
    np.testing.assert_allclose(float(metrics["radius/video"]), 0.05, rtol=1e-3)


@pytest.mark.parametrize("dispatch", ["dense", "switch", "host"])
def test_a_clean_step_has_no_radius_and_corrects_nothing(dispatch: Any) -> None:
    """Nobody is there, though the gradient function would give something else."""
    params, grads = draws(jnp.bfloat16)
    tx = masam(LABELS, rho=0.05, correct_other=True, dispatch=dispatch)

    absent = {m: jnp.asarray(False) for m in ("audio", "video")}
    twice = jax.tree.map(lambda g: g + g, grads)
    updates, state = run(
        dispatch, lambda: one_step(tx, params, grads, grads, grads, twice, present=absent)
    )
    assert [state.radius[m].tolist() for m in ("audio", "video")] == [[0], [0]]
    for m in LABELS:
        np.testing.assert_array_equal(*(np.asarray(t[m]).view(np.uint8) for t in (updates, grads)))


def test_wider_parameters_have_no_radius_to_report() -> None:
    """They reach ρ |γ|."""
    params = draws(jnp.float32)[0]
    mixed = {**params, "audio": params["audio"].astype(jnp.bfloat16)}
    for given, narrow in ((params, set()), (mixed, {"radius/audio"})):
        state = masam(LABELS).init(given)
        assert {name for name in masam_metrics(state) if "radius" in name} == narrow
        stacked = masam_metrics(jax.tree.map(lambda leaf: jnp.stack([leaf] * 3), state))
        assert {name for name in stacked if "radius" in name} == narrow
        assert all(stacked[name].shape == (3,) for name in narrow)


@pytest.mark.parametrize("dtype", [*DTYPES, jnp.float32])
def test_optax_maps_over_the_state_of_any_dtype(dtype: Any) -> None:
    params = draws(dtype)[0]
    tx = optax.chain(masam(LABELS), optax.adam(1e-3))
    state = tx.init(params)
    mapped = optax.tree_map_params(
        tx, lambda leaf: leaf + 1, state, transform_non_params=lambda leaf: leaf
    )
    assert jax.tree.structure(mapped) == jax.tree.structure(state)
    np.testing.assert_array_equal(np.asarray(mapped[1][0].mu["head"], np.float32), np.ones(3))


def mean_loss(params: Any, x: jax.Array) -> Any:
    each = {m: jnp.mean((x[: params[m].size] * params[m].ravel()) ** 2) for m in ("audio", "video")}
    return each["audio"] * each["video"], each


def test_a_loss_that_takes_one_dtype_gets_it() -> None:
    """Under strict promotion (as everywhere in these tests) this one mixes no dtypes."""
    params, _ = draws(jnp.bfloat16)
    x = jnp.ones(SIZE, jnp.bfloat16)
    _, grads, signals = multimodal_value_and_grad(mean_loss)(params, x)
    for dispatch in ("dense", "switch", "host"):
        tx = masam(LABELS, rho=4.0, dispatch=dispatch)
        updates, state = tx.update(grads, tx.init(params), params, **signals)
        assert all(leaf.dtype == jnp.bfloat16 for leaf in jax.tree.leaves(updates))
        assert masam_metrics(state)["dominant"] is not None

    def checked(point: Any, inputs: jax.Array) -> Any:
        assert point["audio"].dtype == jnp.bfloat16  # an AssertionError, as chex's are
        return mean_loss(point, inputs)

    _, _, asserting = multimodal_value_and_grad(checked)(params, x)
    tx = masam(LABELS, rho=4.0)
    same = tx.update(grads, tx.init(params), params, **asserting)[0]
    chex.assert_trees_all_equal(same, tx.update(grads, tx.init(params), params, **signals)[0])
    strict = masam(LABELS, perturbed_dtype="float32")
    with pytest.raises((TypeError, ValueError), match="promotion"):
        strict.update(grads, strict.init(params), params, **signals)


# --- differences that overflow ---


def corrected(dtype: Any, update: float, here: float, there: float, dispatch: str) -> Any:
    """The update of two modalities of one parameter, the first of which is perturbed."""
    params = {"audio": jnp.ones(2, dtype), "video": jnp.ones(2, dtype), "head": jnp.ones(1, dtype)}
    values = {"updates": update, "here": here, "there": there}
    updates, fusion, perturbed = (
        jax.tree.map(lambda p, v=value: jnp.full_like(p, v), params) for value in values.values()
    )
    small = jax.tree.map(jnp.ones_like, params)
    tx = masam(LABELS, rho=0.5, scale_by_alignment=False, dispatch=dispatch)

    return run(dispatch, lambda: one_step(tx, params, updates, fusion, small, perturbed)[0])


LARGEST = {jnp.float16: 65504.0, jnp.float32: 3e38, jnp.bfloat16: 3e38}


@pytest.mark.parametrize("dispatch", ["dense", "switch", "host"])
def test_a_difference_that_overflows_in_between_is_right(dispatch: str) -> None:
    """-40000 + (40000 − -40000) is 40000 in float16, though the difference is infinite there."""
    updates = corrected(jnp.float16, -40000.0, -40000.0, 40000.0, dispatch)
    np.testing.assert_array_equal(updates["audio"], np.float16([40000, 40000]))
    np.testing.assert_array_equal(updates["video"], np.float16([-40000, -40000]))


@pytest.mark.parametrize("dispatch", ["dense", "switch", "host"])
@pytest.mark.parametrize(
    ("dtype", "size"), [(jnp.float16, 40000.0), (jnp.float32, 2e15), (jnp.bfloat16, 1e15)]
)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_correction_that_overflows_leaves_the_updates(
    dtype: Any, size: float, sign: float, dispatch: str
) -> None:
    update, there = sign * LARGEST[dtype], sign * LARGEST[dtype]
    updates = corrected(dtype, update, -sign * size, there, dispatch)
    for m in LABELS:
        np.testing.assert_array_equal(np.asarray(updates[m]), np.full_like(updates[m], update))


# --- bits that stay ---


@pytest.mark.parametrize("dispatch", ["dense", "switch", "host"])
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32])
def test_updates_that_are_not_corrected_keep_their_bits(dtype: Any, dispatch: str) -> None:
    tiny = float(ml_dtypes.finfo(dtype).smallest_subnormal)
    params = {m: jnp.ones(3, dtype) for m in LABELS}
    updates = {m: jnp.asarray(np.asarray([-0.0, tiny, -tiny]).astype(dtype)) for m in LABELS}
    grads = {m: jnp.ones(3, dtype) for m in LABELS}
    unimodal = {"audio": grads["audio"], "video": -grads["video"], "head": grads["head"]}
    tx = masam(LABELS, rho=0.5, dispatch=dispatch)

    twice = jax.tree.map(lambda g: g + g, grads)
    got = run(dispatch, lambda: one_step(tx, params, updates, grads, unimodal, twice)[0])
    np.testing.assert_array_equal(got["audio"].astype(jnp.float32), np.ones(3))
    for m in ("video", "head"):
        kept, given = (np.asarray(tree[m]).view(np.uint8) for tree in (got, updates))
        np.testing.assert_array_equal(kept, given)
