"""Eight fake CPU devices, strict dtypes and ranks, reproducible hypothesis, programs kept."""

import gc
import os
import signal
from pathlib import Path

import hypothesis
import jax
import pytest

from tests.compilation_cache import keep_programs
from tests.half_precision import lacks_float16
from tests.quick_compilation import compile_quickly
from tests.slow_files import SLOW_FILES

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
compile_quickly(devices=8)
keep_programs()
# Tracing makes many small objects, and few cycles: looking for these is a tenth of its time.
gc.set_threshold(100_000, 20, 50)

# A shell starts what it runs in the background with SIGINT ignored; tests interrupt themselves.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A deadline would fail on the first example, which compiles.
hypothesis.settings.register_profile("masam_jax", deadline=None, derandomize=True)
hypothesis.settings.load_profile("masam_jax")


def pytest_collection_modifyitems(items):
    """Marks what is fast; the slowest go first, so that no worker is left with one at the end."""
    slow = {(Path(__file__).parent / name).resolve() for name in SLOW_FILES}
    items.sort(key=lambda item: item.path not in slow)
    for item in items:
        if item.path not in slow:
            item.add_marker("fast")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Skips a test that needs float16 where no program can have it."""
    try:
        return (yield)
    except jax.errors.JaxRuntimeError as error:
        if lacks_float16(error):
            pytest.skip("XLA cannot convert float16 with this processor's instructions")
        raise


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


@pytest.fixture
def memory_buckets(monkeypatch, tmp_path):
    """``gs://`` in memory; see ``tests.memory_bucket.MemoryBuckets``, whose class this is."""
    from tests.memory_bucket import MemoryBuckets, use_memory

    use_memory(monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("EPATH_USE_TF", "false")
    return MemoryBuckets


@pytest.fixture(scope="session")
def browser():
    """A headless browser; see ``experiments.browser.Browser``.

    Where none is installed its tests are skipped, or fail if ``MASAM_TEST_BROWSER=required``.
    """
    # Imported late: most tests need none.
    from experiments.browser import find_browser, open_browser

    if find_browser() is None and os.environ.get("MASAM_TEST_BROWSER") != "required":
        pytest.skip("no Chromium with its driver is installed: bash .ci/install_browser")
    with open_browser() as opened:
        yield opened
