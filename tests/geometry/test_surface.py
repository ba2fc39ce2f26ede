"""Loss surfaces against closed forms, and the ways they are computed against each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.decomposition import PCA

from masam_jax.geometry.connectivity import mode_connectivity
from masam_jax.geometry.directions import random_direction
from masam_jax.geometry.surface import load_surface, loss_surface
from masam_jax.geometry.surface_file import SurfaceFile
from masam_jax.geometry.trajectory import trajectory_plane

LABELS = {"a": "a", "b": "b", "head": "other"}
BATCHES = [np.float32(1), np.float32(3)]


def params_of(seed=0):
    draw = np.random.default_rng(seed).normal
    return {
        "a": {"kernel": draw(size=(3, 3, 2, 4)), "bias": draw(size=4)},
        "b": {"kernel": draw(size=(5, 6)), "bias": draw(size=6)},
        "head": draw(size=(6, 2)),
    }


PARAMS = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), params_of())


def bowl(params, batch):
    """Quadratic with another curvature for every leaf; batches average to 2."""
    leaves = enumerate(jax.tree.leaves(params), start=1)
    return batch * sum(k * jnp.sum((leaf - 1) ** 2) for k, leaf in leaves)


def bowl_at(directions, coordinates):
    """The same in NumPy, at PARAMS plus multiples of directions."""
    total = 0.0
    for k, leaves in enumerate(
        zip(jax.tree.leaves(PARAMS), *map(jax.tree.leaves, directions), strict=True), start=1
    ):
        leaf, *along = (np.asarray(x, np.float64) for x in leaves)
        moved = leaf + sum(c * d for c, d in zip(coordinates, along, strict=True))
        total += k * np.sum((moved - 1) ** 2)
    return 2 * total


def test_directions_have_the_norms_of_the_filters():
    found = random_direction(PARAMS, jax.random.key(3))
    for path, kernel in (("a", (3, 3, 2)), ("b", (5,))):
        d, w = (np.asarray(tree[path]["kernel"], np.float64) for tree in (found, PARAMS))
        norms = [np.sqrt((x.reshape(np.prod(kernel), -1) ** 2).sum(0)) for x in (d, w)]
        np.testing.assert_allclose(*norms, rtol=1e-5)
        assert not np.any(found[path]["bias"])
        assert abs(np.corrcoef(d.ravel(), w.ravel())[0, 1]) < 0.5
    assert np.any(found["head"])


def test_directions_of_one_encoder_leave_all_others():
    joint = random_direction(PARAMS, jax.random.key(3))
    found = random_direction(PARAMS, jax.random.key(3), labels=LABELS, modality="b")
    assert jnp.array_equal(found["b"]["kernel"], joint["b"]["kernel"])
    assert not any(np.any(found[name]["kernel"]) for name in "a")
    assert not np.any(found["head"])


def test_filters_of_zero_and_zero_draws_are_no_nan():
    dead = PARAMS | {"b": {"kernel": PARAMS["b"]["kernel"].at[:, 2].set(0), "bias": jnp.ones(6)}}
    found = random_direction(dead, jax.random.key(0))["b"]["kernel"]
    assert not np.any(found[:, 2])
    assert np.all(np.isfinite(found))


@pytest.mark.parametrize("modality", [None, "a"])
def test_the_surface_of_a_quadratic(modality):
    key = jax.random.key(1)
    found = loss_surface(
        bowl, PARAMS, BATCHES, labels=LABELS, modality=modality, key=key, points=5, extent=0.5
    )
    directions = [
        random_direction(PARAMS, jax.random.fold_in(key, d), labels=LABELS, modality=modality)
        for d in range(2)
    ]
    np.testing.assert_allclose(found.axes[0], [-0.5, -0.25, 0, 0.25, 0.5])
    expected = [[bowl_at(directions, (a, b)) for b in found.axes[1]] for a in found.axes[0]]
    np.testing.assert_allclose(found.losses, expected, rtol=1e-5)
    np.testing.assert_allclose(found.centre, bowl_at(directions, (0, 0)), rtol=1e-5)
    line = loss_surface(
        bowl, PARAMS, BATCHES, labels=LABELS, modality=modality, key=key, points=5, extent=0.5,
        dimensions=1,
    )  # fmt: skip
    np.testing.assert_allclose(line.losses, found.losses[:, 2], rtol=1e-5)


def test_chunks_and_devices_change_nothing():
    surfaces = [
        loss_surface(bowl, PARAMS, BATCHES, points=4, chunk=chunk, devices=jax.devices()[:count])
        for chunk, count in ((1, 1), (3, 1), (2, 4))
    ]
    for other in surfaces[1:]:
        np.testing.assert_allclose(other.losses, surfaces[0].losses, rtol=1e-6)


def test_a_surface_goes_on_from_its_file(tmp_path, monkeypatch):
    path = tmp_path / "surface.npz"
    options = {"points": 3, "chunk": 2, "devices": jax.devices()[:1]}
    whole = loss_surface(bowl, PARAMS, BATCHES, **options)
    write, written = SurfaceFile.write, []

    def interrupted(file, *content):
        write(file, *content)
        written.append(content)
        if len(written) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(SurfaceFile, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        loss_surface(bowl, PARAMS, BATCHES, path=path, **options)
    # The centre and three of the nine points.
    assert np.isnan(load_surface(path).losses).sum() == 6
    found = loss_surface(bowl, PARAMS, BATCHES, path=path, **options)
    assert len(written) == 2 + 3
    assert np.array_equal(found.losses, whole.losses)
    stored = load_surface(path)
    assert np.array_equal(stored.losses, whole.losses)
    assert (stored.centre, stored.modality) == (whole.centre, None)
    with pytest.raises(ValueError, match="holds another surface"):
        loss_surface(bowl, PARAMS, BATCHES[:1], path=path, **options)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="is no surface, or damaged"):
        loss_surface(bowl, PARAMS, BATCHES, path=path, **options)


def test_a_surface_is_saved_as_it_is(tmp_path):
    found = loss_surface(bowl, PARAMS, BATCHES, points=3, labels=LABELS, modality="b")
    stored = load_surface(found.save(tmp_path / "deep" / "surface"))
    assert stored.modality == "b"
    assert np.array_equal(stored.losses, found.losses)
    assert all(map(np.array_equal, stored.axes, found.axes))


def test_the_plane_of_a_trajectory():
    """Along two known directions and a little of a third, against scikit-learn."""
    rng = np.random.default_rng(0)
    start = np.concatenate([x.ravel() for x in jax.tree.leaves(params_of())])
    basis = np.linalg.qr(rng.normal(size=(len(start), 3)))[0]
    steps = np.stack([np.linspace(0, 9, 7), np.linspace(0, 2, 7) ** 2, rng.normal(size=7) / 20], 1)
    flat = start + steps @ basis.T
    leaves, structure = jax.tree.flatten(params_of())
    ends = np.cumsum([x.size for x in leaves])[:-1]
    trajectory = [
        jax.tree.unflatten(
            structure,
            [part.reshape(x.shape) for part, x in zip(np.split(row, ends), leaves, strict=True)],
        )
        for row in flat
    ]
    plane = trajectory_plane(trajectory)
    fitted = PCA(n_components=2).fit(flat - flat[-1])
    np.testing.assert_allclose(plane.explained, fitted.explained_variance_ratio_, rtol=1e-6)
    for own, component in zip(plane.directions, fitted.components_, strict=True):
        vector = np.concatenate([x.ravel() for x in jax.tree.leaves(own)])
        np.testing.assert_allclose(abs(vector @ component), 1, rtol=1e-6)
    vectors = [np.concatenate([x.ravel() for x in jax.tree.leaves(d)]) for d in plane.directions]
    np.testing.assert_allclose(
        plane.coordinates, (flat - flat[-1]) @ np.stack(vectors, 1), atol=1e-9
    )
    (left, right), _ = plane.extent(0.5)
    assert left < plane.coordinates[:, 0].min()
    assert right > plane.coordinates[:, 0].max()
    encoder = trajectory_plane(trajectory, labels=LABELS, modality="a").directions[0]
    assert np.any(encoder["a"]["kernel"])
    assert not np.any(encoder["head"])


def test_the_barrier_between_two_minima():
    """(w² − 1)² has minima at −1 and 1, and is 1 between them."""
    first, second = {"w": jnp.array([-1.0])}, {"w": jnp.array([1.0])}

    def two_wells(params, batch):
        return batch * jnp.sum((params["w"] ** 2 - 1) ** 2)

    path = mode_connectivity(two_wells, first, second, BATCHES, points=5)
    np.testing.assert_allclose(path.losses, [0, 1.125, 2, 1.125, 0], atol=1e-6)
    assert path.barrier == pytest.approx(2)
    flat = mode_connectivity(two_wells, first, first, BATCHES, points=2)
    assert flat.barrier == 0


def test_the_way_of_one_encoder():
    other = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), params_of(1))
    path = mode_connectivity(bowl, PARAMS, other, BATCHES, labels=LABELS, modality="b", points=3)
    halfway = PARAMS | {"b": jax.tree.map(lambda x, y: (x + y) / 2, PARAMS["b"], other["b"])}
    np.testing.assert_allclose(path.losses[1], 2 * bowl(halfway, jnp.float32(1)), rtol=1e-5)
    np.testing.assert_allclose(
        path.losses[2], 2 * bowl(PARAMS | {"b": other["b"]}, jnp.float32(1)), rtol=1e-5
    )


@pytest.mark.parametrize(
    "options, message",
    [
        ({"points": 0}, "points must be an integer >= 1"),
        ({"dimensions": 3}, "dimensions must be one of"),
        ({"extent": -1.0}, "extent must be a number above 0"),
        ({"extent": [(0, 1)]}, "of each of 2 axes"),
        ({"modality": "a"}, "modality='a' needs labels"),
        ({"modality": "c", "labels": LABELS}, "modality='c' is no label"),
        ({"directions": [PARAMS] * 3}, "directions are 3; one or two"),
        ({"chunk": 0}, "chunk must be an integer >= 1"),
        ({"batches": []}, "batches are empty"),
    ],
)
def test_mistakes_at_the_door(options, message):
    with pytest.raises(ValueError, match=message):
        loss_surface(bowl, PARAMS, **({"batches": BATCHES} | options))


def test_mistakes_of_trajectories_and_paths():
    with pytest.raises(ValueError, match="at least 3 points"):
        trajectory_plane([PARAMS] * 2)
    with pytest.raises(ValueError, match="lie on a line, or do not move"):
        trajectory_plane([PARAMS] * 3)
    with pytest.raises(ValueError, match="one structure"):
        trajectory_plane([PARAMS, PARAMS, PARAMS["a"]])
    with pytest.raises(ValueError, match="of different networks"):
        mode_connectivity(bowl, PARAMS, PARAMS["a"], BATCHES)
    with pytest.raises(ValueError, match="points must be an integer >= 2"):
        mode_connectivity(bowl, PARAMS, PARAMS, BATCHES, points=1)
