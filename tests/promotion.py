"""For folders whose tests train with optax's Adam."""

from collections.abc import Iterator

import jax
import pytest


@pytest.fixture(autouse=True)
def standard_promotion() -> Iterator[None]:
    """Adam mixes a Python float with an integer array, which strict promotion refuses."""
    with jax.numpy_dtype_promotion("standard"):
        yield
