"""The examples of the pages for users run as a user would run them."""

from collections.abc import Iterator

import jax
import pytest

from masam_jax.methods import registry


@pytest.fixture(autouse=True)
def _surroundings_of_a_user(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Optax's own Adam and users need jax's standard promotion, which the tests of tests/ replace.

    Methods that an example registers are gone after it.
    """
    if isinstance(request.node, pytest.DoctestItem):
        monkeypatch.setattr(registry, "_METHODS", dict(registry._METHODS))
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            yield
    else:
        yield
