"""Compiled programs of the tests, kept between runs and shared by the workers of one.

They lie in the user's cache folder, or in ``$MASAM_TEST_CACHE``, in a folder named by what they
depend on beside themselves: the versions of jax and jaxlib, XLA's flags, and the processor, whose
instructions they use. Deleting it is always safe.
"""

import hashlib
import os
from pathlib import Path

import jax
import jaxlib.version

from masam_jax.training.kept_programs import describe_processor


def keep_programs() -> None:
    """Turns JAX's persistent cache on, here and in the processes that tests start."""
    base = os.environ.get("MASAM_TEST_CACHE") or _user_cache() / "masam_jax" / "tests"
    depends_on = (os.environ["XLA_FLAGS"], describe_processor())
    versions = f"jax-{jax.__version__}-jaxlib-{jaxlib.version.__version__}"
    folder = Path(base) / f"{versions}-{_digest(*depends_on)}"
    settings = {
        "jax_compilation_cache_dir": str(folder),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    for name, value in settings.items():
        jax.config.update(name, value)
        os.environ[name.upper()] = str(value)


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
