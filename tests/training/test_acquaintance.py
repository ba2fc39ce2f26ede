"""Every group of devices that a mesh has talks once; two processes: test_separate_processes.py."""

import jax
import numpy as np
import pytest

from masam_jax.training.acquaintance import groups, sums
from masam_jax.training.distribution import make_placement

AXES = ("seeds", "data", "model")


@pytest.mark.parametrize(
    "sizes, expected",
    [
        ((1, 1, 1), []),
        ((1, 8, 1), [("data",)]),
        ((1, 4, 2), [("data",), ("model",), ("data", "model")]),
    ],
)
def test_axes_that_are_split_alone_and_together(sizes, expected):
    axes = dict(zip(AXES, sizes, strict=True))
    devices = jax.devices()[: np.prod(sizes)]
    mesh = make_placement(8, 8, devices, axes=axes).mesh
    assert groups(mesh) == expected
    total = np.prod([np.prod([axes[axis] for axis in group]) for group in expected])
    np.testing.assert_array_equal(sums(mesh), np.full(mesh.size, total, np.float32))
