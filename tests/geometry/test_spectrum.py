"""Eigenvalues and densities are those of known spectra, and of the dense Hessian."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masam_jax.geometry import hessian_spectrum
from tests.geometry.dense import LABELS, dense_hessian, loss_fn, make_batches, make_params, slices

KEY = jax.random.key(0)


def quadratic(params, matrix):
    return 0.5 * params @ matrix @ params


def _matrix(eigenvalues):
    size = len(eigenvalues)
    basis, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(size, size)))
    return ((basis * eigenvalues) @ basis.T).astype(np.float32)


def test_largest_eigenvalues_of_the_network():
    params, batches = make_params(), make_batches()
    hessian = dense_hessian(params, batches)
    found = hessian_spectrum(
        loss_fn, params, batches, labels=LABELS, key=KEY, steps=16, vectors=1, top=3
    )
    assert list(found) == ["all", "audio", "video", "other"]
    blocks = {LABELS[name]: hessian[where, where] for name, where in slices().items()}
    for name, block in {"all": hessian, **blocks}.items():
        exact = np.linalg.eigvalsh(block)
        spectrum = found[name]
        assert spectrum.size == len(exact)
        distances = np.abs(spectrum.eigenvalues[:, None] - exact).min(axis=1)
        assert (distances <= spectrum.errors + 1e-4).all()
        # From below, each at its rank.
        assert (spectrum.eigenvalues <= exact[::-1][:3] + 1e-4).all()
        assert spectrum.eigenvalues[0] == pytest.approx(exact[-1], abs=1e-3)
        assert spectrum.smallest == pytest.approx(exact[0], abs=1e-3)
        assert spectrum.weights.sum() == pytest.approx(1)


def test_the_density_of_a_known_spectrum():
    """A quarter of the eigenvalues at 10 and the rest at 1, each many times over."""
    exact = np.repeat([1.0, 10.0], [48, 16])
    (found,) = hessian_spectrum(
        quadratic, jnp.ones(64), [_matrix(exact)], key=KEY, steps=4, vectors=8, top=3
    ).values()
    # The iteration ends where it has both.
    assert len(found.nodes) == 2 * 8
    np.testing.assert_allclose(found.eigenvalues, [10.0, 1.0], rtol=1e-4)
    share = found.weights[found.nodes > 5].sum()
    assert share == pytest.approx(0.25, abs=0.1)
    points = np.linspace(-5, 15, 2001)
    density = found.density(points, width=0.5)
    assert np.trapezoid(density, points) == pytest.approx(1, abs=1e-3)
    assert np.trapezoid(density[points > 5], points[points > 5]) == pytest.approx(share, abs=1e-3)


def test_as_many_steps_as_parameters_find_every_eigenvalue():
    exact = np.array([-3.0, 0.5, 2.0, 7.0])
    (found,) = hessian_spectrum(
        quadratic, jnp.ones(4), [_matrix(exact)], key=KEY, vectors=1, top=4
    ).values()
    np.testing.assert_allclose(found.eigenvalues, exact[::-1], rtol=1e-4)
    np.testing.assert_allclose(found.errors, 0, atol=1e-4)
    assert found.smallest == pytest.approx(-3.0, rel=1e-4)


@pytest.mark.parametrize("curvature", [0.0, 2.0])
def test_one_eigenvalue_alone(curvature):
    (found,) = hessian_spectrum(
        quadratic, jnp.ones(5), [curvature * jnp.eye(5)], key=KEY, vectors=2
    ).values()
    np.testing.assert_allclose(found.eigenvalues, [curvature], rtol=1e-6)
    np.testing.assert_allclose(found.nodes, [curvature] * 2, rtol=1e-6)


def test_mistakes():
    with pytest.raises(ValueError, match="top=6 eigenvalues need as many steps, got steps=5"):
        hessian_spectrum(quadratic, jnp.ones(9), [jnp.eye(9)], key=KEY, steps=5, top=6)
    (found,) = hessian_spectrum(quadratic, jnp.ones(2), [jnp.eye(2)], key=KEY).values()
    with pytest.raises(ValueError, match="width must be a finite number > 0, got 0"):
        found.density([0.0], width=0)
