"""Eight fake CPU devices, strict dtypes, reproducible hypothesis, compiled programs kept."""

import os

# Both are read once, when jax starts its backend.
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
).strip()

import hypothesis
import jax
import pytest

from tests.compilation_cache import keep_programs

jax.config.update("jax_numpy_dtype_promotion", "strict")
keep_programs()

# A deadline would fail on the first example, which compiles.
hypothesis.settings.register_profile("masam_jax", deadline=None, derandomize=True)
hypothesis.settings.load_profile("masam_jax")


@pytest.fixture
def x64():
    """64-bit mode for one test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module", autouse=True)
def _bounded_memory():
    """A worker would otherwise keep every program that it ever compiled."""
    yield
    jax.clear_caches()


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """Prepared copies of the published data sets, by name."""
    # Imported late: most tests need no data set.
    from tests.prepared import PreparedCopies

    return PreparedCopies(tmp_path_factory.mktemp("prepared"))
