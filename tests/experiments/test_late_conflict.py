"""The geometry of two gradients against NumPy; what the command prints."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.late_conflict import geometry_of, main


def shortest(f, u):
    """The weight of f in the shortest combination, from a fine grid."""
    weights = np.linspace(0, 1, 200001)
    lengths = ((weights[:, None] * f + (1 - weights[:, None]) * u) ** 2).sum(axis=1)
    return weights[lengths.argmin()]


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-6])
@pytest.mark.parametrize("conflict", [False, True])
def test_geometry_of_numpy(scale, conflict):
    draws = np.random.default_rng(1)
    f, u = draws.normal(size=6), draws.normal(size=6)
    f *= scale * np.sign(f @ u) * (-1 if conflict else 1)
    found = geometry_of(*([jnp.asarray(x, jnp.float32).reshape(2, 3)] for x in (f, u)))
    assert bool(found.conflicts) is conflict
    weight = shortest(f, u) if conflict else 0.5
    np.testing.assert_allclose(found.weight, weight, atol=1e-5)
    exact = (u @ (u - f)) / ((f - u) @ (f - u)) if conflict else 0.5
    h = 2 * exact * f + 2 * (1 - exact) * u
    amplified = np.linalg.norm(f + u) / np.linalg.norm(h)
    np.testing.assert_allclose(np.exp(found.amplified), amplified, rtol=1e-4)
    np.testing.assert_allclose(
        np.exp(found.ratio), np.linalg.norm(f) / np.linalg.norm(u), rtol=1e-5
    )


def test_gradients_of_zero_are_finite():
    zero = [jnp.zeros(3, jnp.float32)]
    for each in jax.tree.leaves(
        (geometry_of(zero, zero), geometry_of(zero, [jnp.ones(3, jnp.float32)]))
    ):
        assert np.isfinite(each).all()


def test_the_command(capsys):
    words = ["--seeds", "2", "--steps", "4", "--window", "2", "--dataset"]
    main([*words, "synthetic:dominance=2/1"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [f"{n}: trained" for n in ("late fusion", "MMPareto", "without the factor")]
    assert [line.split("|")[1].strip() for line in lines[5:]] == ["1–2", "3–4"]
    assert all(line.count("±") == 3 for line in lines[5:])
