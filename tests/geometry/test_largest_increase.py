"""The largest increase in a ball, where it is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masam_jax.geometry import sharpness
from tests.geometry.dense import LABELS, loss_fn, make_batches, make_params, numpy_loss

MATRIX = np.diag([1.0, 4.0, 9.0]).astype(np.float32)
START = np.array([0.3, 0.1, 0.02], np.float32)


def quadratic(params, matrix):
    return 0.5 * params @ matrix @ params


def _increase(step):
    return 0.5 * (START + step) @ MATRIX @ (START + step) - 0.5 * START @ MATRIX @ START


def test_one_step_is_that_of_sam():
    (found,) = sharpness(quadratic, START, [MATRIX], rho=0.1).values()
    gradient = MATRIX @ START
    expected = _increase(0.1 * gradient / np.linalg.norm(gradient))
    assert found.increase == found.one_step == pytest.approx(expected, rel=1e-5)
    assert (found.radius, found.norm) == (0.1, pytest.approx(np.linalg.norm(START)))


def test_one_step_is_that_of_asam():
    (found,) = sharpness(quadratic, START, [MATRIX], rho=0.1, adaptive=True).values()
    scaled = np.abs(START) * (MATRIX @ START)
    expected = _increase(0.1 * np.abs(START) * scaled / np.linalg.norm(scaled))
    assert found.increase == pytest.approx(expected, rel=1e-5)


def test_ascent_finds_the_largest_increase_in_the_ball():
    """Of a quadratic, among very many points of the sphere, on which the maximum lies."""
    points = np.random.default_rng(0).normal(size=(200_000, 3))
    points *= 0.5 / np.linalg.norm(points, axis=1, keepdims=True)
    moved = START + points
    best = 0.5 * np.einsum("ni,ij,nj->n", moved, MATRIX, moved).max() - 0.5 * START @ MATRIX @ START
    (found,) = sharpness(quadratic, START, [MATRIX], rho=0.5, steps=40).values()
    assert found.increase > found.one_step
    assert found.increase == pytest.approx(best, rel=1e-3)


def test_the_best_point_counts_that_was_seen():
    """A narrow peak within the ball: later steps fall down on its other side."""

    def peak(params, batch):
        return jnp.sum(jnp.exp(-((params - 0.1) ** 2) / 0.01))

    (found,) = sharpness(peak, jnp.zeros(1), [None], rho=0.3, steps=30).values()
    assert found.one_step < 0 < found.increase
    assert found.increase <= 1 - np.exp(-1) + 1e-6


def test_each_part_moves_alone():
    params, batches = make_params(), make_batches()
    found = sharpness(loss_fn, params, batches, labels=LABELS, rho=0.2)
    assert list(found) == ["all", "audio", "video", "other"]
    mean = np.mean([numpy_loss(params, batch) for batch in batches])
    size = 1e-3
    gradient = np.array(
        [_slope(params, batches, "audio", size * unit.reshape(6, 4), size) for unit in np.eye(24)]
    ).reshape(6, 4)
    moved = params | {"audio": params["audio"] + 0.2 * gradient / np.linalg.norm(gradient)}
    expected = np.mean([numpy_loss(moved, batch) for batch in batches]) - mean
    assert found["audio"].increase == pytest.approx(expected, abs=1e-5)
    assert found["audio"].loss == pytest.approx(mean, rel=1e-5)


def _slope(params, batches, name, step, size):
    up, down = (params | {name: params[name].astype(float) + sign * step} for sign in (1, -1))
    difference = [numpy_loss(up, batch) - numpy_loss(down, batch) for batch in batches]
    return np.mean(difference) / (2 * size)


def test_the_adaptive_form_ignores_the_scale_of_layers():
    """A network of two layers, one up and the other one down by the same factor."""

    def deep(params, batch):
        return jnp.mean((jax.nn.relu(batch @ params["first"]) @ params["second"] - 1) ** 2)

    rng = np.random.default_rng(0)
    first, second = (rng.normal(size=shape).astype(np.float32) for shape in [(3, 4), (4, 2)])
    batch = rng.normal(size=(8, 3)).astype(np.float32)
    for adaptive in (True, False):
        increases = [
            sharpness(
                deep,
                {"first": np.float32(scale) * first, "second": second / np.float32(scale)},
                [batch],
                rho=0.1,
                steps=3,
                adaptive=adaptive,
            )["all"].increase
            for scale in (1, 8)
        ]
        assert (increases[0] == pytest.approx(increases[1], rel=1e-3)) == adaptive


@pytest.mark.parametrize(("adaptive", "extent"), [(False, np.linalg.norm(START)), (True, 3**0.5)])
def test_a_relative_radius(adaptive, extent):
    relative, absolute = (
        sharpness(quadratic, START, [MATRIX], rho=rho, radius=radius, adaptive=adaptive)["all"]
        for rho, radius in ((0.1, "relative"), (0.1 * float(extent), "absolute"))
    )
    assert relative.radius == pytest.approx(absolute.radius, rel=1e-5)
    assert relative.increase == pytest.approx(absolute.increase, rel=1e-4)


def test_at_a_minimum_and_where_the_loss_ends():
    (found,) = sharpness(quadratic, np.zeros(3, np.float32), [MATRIX], rho=0.1).values()
    assert found.increase == 0

    def logarithm(params, batch):
        return -jnp.log(params.sum())

    (found,) = sharpness(logarithm, jnp.full(1, 0.5), [None], rho=1.0).values()
    assert found.increase == np.inf


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rho": 0}, "rho must be a finite number > 0, got 0"),
        ({"steps": 0}, "steps must be an integer >= 1, got 0"),
        ({"radius": "small"}, "radius must be one of .*got 'small'"),
        ({"adaptive": 1}, "adaptive must be True or False, got 1"),
    ],
)
def test_mistakes(wrong, message):
    with pytest.raises(ValueError, match=message):
        sharpness(quadratic, START, [MATRIX], **wrong)
