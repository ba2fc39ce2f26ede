import jax
import pytest


@pytest.fixture(scope="module")
def quick_compilation():
    """Networks so small that compiled code does not win back the time of optimizing it."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
