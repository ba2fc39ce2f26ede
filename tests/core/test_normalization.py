"""ASAM's operator by filters: its values, and a radius that layers may share scale under."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masam_jax import masam
from masam_jax.core.normalization import filterwise


def test_a_filter_is_what_makes_one_output() -> None:
    kernel = np.arange(24.0, dtype=np.float32).reshape(2, 3, 4)
    got = filterwise(jnp.asarray(kernel), 0.5)
    for j in range(4):
        norm = np.sqrt((kernel[:, :, j] ** 2).sum())
        np.testing.assert_allclose(got[:, :, j], np.full((2, 3), norm + 0.5), rtol=1e-6)
    bias = jnp.asarray([-2.0, 0.0])
    np.testing.assert_allclose(filterwise(bias, 0.5), [2.5, 0.5])
    assert filterwise(jnp.asarray(-3.0), 0.0) == 3.0


def perturbation(params: Any, grads: Any, **options: Any) -> dict[str, np.ndarray]:
    """The ε of a modality that is all there is."""
    points = []

    def fusion_grad_fn(point: Any, modality: str | None = None) -> Any:
        points.append(point)
        return grads

    tx = masam(lambda p: dict.fromkeys(p, "a"), scale_by_alignment=False, **options)
    tx.update(
        grads,
        tx.init(params),
        params,
        fusion_grads=grads,
        unimodal_grads=grads,
        unimodal_losses={"a": jnp.float32(1)},
        fusion_grad_fn=fusion_grad_fn,
    )
    return {
        name: np.asarray(points[-1][name], np.float64) - np.asarray(params[name], np.float64)
        for name in params
    }


def rectifier(params: Any, x: jax.Array) -> jax.Array:
    return jnp.sum((jax.nn.relu(x @ params["w1"]) @ params["w2"] - 1.0) ** 2)


def test_the_perturbation_follows_a_scale_that_moves_between_layers(x64: None) -> None:
    """With η = 0: a layer times c before one over c is the same network, and stays it."""
    generator = np.random.default_rng(0)
    params = {n: jnp.asarray(generator.normal(size=s)) for n, s in (("w1", (3, 4)), ("w2", (4, 2)))}
    x = jnp.asarray(generator.normal(size=(5, 3)))
    losses = []
    for c in (1.0, 7.0):
        scaled = {"w1": c * params["w1"], "w2": params["w2"] / c}
        epsilon = perturbation(
            scaled, jax.grad(rectifier)(scaled, x), rho=0.3, radius="filter", eta=0.0
        )
        losses.append(rectifier({n: scaled[n] + epsilon[n] for n in scaled}, x))
        plain = perturbation(scaled, jax.grad(rectifier)(scaled, x), rho=0.3)
        losses.append(rectifier({n: scaled[n] + plain[n] for n in scaled}, x))
    np.testing.assert_allclose(losses[0], losses[2], rtol=1e-9)
    assert abs(losses[1] / losses[3] - 1) > 0.01


def test_a_modality_of_zeros_without_eta_stays_and_with_it_moves() -> None:
    params = {"w": jnp.zeros((3, 2)), "b": jnp.zeros(2)}
    grads = jax.tree.map(jnp.ones_like, params)
    assert not any(e.any() for e in perturbation(params, grads, radius="filter", eta=0.0).values())
    moved = perturbation(params, grads, rho=0.5, radius="filter", eta=0.25)
    # T = η: ‖T⁻¹ε‖ = ρ, and the same step for all eight.
    np.testing.assert_allclose(moved["w"], np.full((3, 2), 0.5 * 0.25 / np.sqrt(8)), rtol=1e-5)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_narrow_parameters_go_to_a_float32_point(dtype: Any) -> None:
    generator = np.random.default_rng(1)
    params, grads = ({"w": jnp.asarray(generator.normal(size=(64, 8)), dtype)} for _ in range(2))
    epsilon = perturbation(params, grads, rho=1e-4, radius="filter", eta=0.0)["w"]
    w = np.asarray(params["w"], np.float64)
    norms = np.sqrt((w**2).sum(axis=0, keepdims=True))
    np.testing.assert_allclose(np.linalg.norm(epsilon / norms), 1e-4, rtol=1e-2)


def test_other_words_and_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"radius must be one of .*'filter'.*got 'layer'"):
        masam({"a": "a"}, radius="layer")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="eta must be a finite number >= 0, got -1"):
        masam({"a": "a"}, eta=-1)
