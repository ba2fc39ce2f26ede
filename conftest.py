"""The examples of README.md run as a user would run them."""

from collections.abc import Iterator

import jax
import pytest


@pytest.fixture(autouse=True)
def _promotion_of_a_user(request: pytest.FixtureRequest) -> Iterator[None]:
    """Optax's own Adam needs jax's standard promotion, which the tests of tests/ replace."""
    if isinstance(request.node, pytest.DoctestItem):
        with jax.numpy_dtype_promotion("standard"):
            yield
    else:
        yield
