"""Compiled programs from one start to the next: the same numbers, whatever is in the folder."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from masam_jax.training.kept_programs import kept_programs, programs_folder

_NAMES = (
    "jax_compilation_cache_dir",
    "jax_compilation_cache_max_size",
    "jax_enable_compilation_cache",
    "jax_persistent_cache_min_compile_time_secs",
)
_SCRIPT = """
import sys
import jax
from masam_jax.training.kept_programs import kept_programs
with kept_programs(True):
    for size in range(2, 12):
        print(float(jax.jit(lambda x: (x * 1.1).sum())(jax.numpy.ones(size))))
"""


def _restart():
    """What a new process would have of its own."""
    compilation_cache.reset_cache()
    jax.clear_caches()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A user's, whose JAX was told nothing."""
    before = {name: jax.config.values[name] for name in _NAMES}
    for name in _NAMES:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    jax.config.update("jax_compilation_cache_dir", None)
    _restart()
    yield programs_folder()
    for name, value in before.items():
        jax.config.update(name, value)
    _restart()


def _start(enabled=True):
    """Compiles and runs a program as a new process would; its result, and how often it was kept."""
    _restart()
    hits = []

    def count(event, **_):
        if event == "/jax/compilation_cache/cache_hits":
            hits.append(event)

    def small_program(x):
        return jnp.tanh(x @ x.T).sum(axis=0)

    x = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
    jax.monitoring.register_event_listener(count)
    try:
        with kept_programs(enabled):
            result = np.asarray(jax.jit(small_program)(x))
    finally:
        jax.monitoring.unregister_event_listener(count)
    return result, len(hits)


def _programs(folder):
    return sorted(folder.glob("jit_small_program-*-cache"))


def test_the_second_start_compiles_nothing_and_gives_the_same_numbers(folder):
    first, none = _start()
    second, hits = _start()
    assert (none, hits) == (0, 1)
    assert len(_programs(folder)) == 1
    np.testing.assert_array_equal(first, second)


def test_nothing_is_kept_where_it_was_not_asked_for(folder):
    _start(enabled=False)
    assert not folder.exists()
    _start()
    _, hits = _start(enabled=False)
    assert hits == 0


def test_what_jax_is_told_is_taken_as_it_is(folder, tmp_path):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "own"))
    with kept_programs(True):
        assert jax.config.values["jax_compilation_cache_dir"] == str(tmp_path / "own")
        assert jax.config.values["jax_compilation_cache_max_size"] == -1
    _start()
    assert _programs(tmp_path / "own")
    assert not folder.exists()


@pytest.mark.parametrize("damage", [b"", b"no program", None])
def test_a_damaged_program_is_compiled_anew_and_replaced(folder, damage):
    first, _ = _start()
    (path,) = _programs(folder)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    # Warnings are errors here, so nothing was said of it.
    second, hits = _start()
    assert hits == 0
    np.testing.assert_array_equal(first, second)
    third, hits = _start()
    assert hits == 1
    np.testing.assert_array_equal(first, third)


def test_what_was_being_written_when_a_process_was_killed_is_removed(folder):
    _start()
    half = folder / "jit_other-0-cache"
    half.write_bytes(b"half a prog")
    assert _start()[1] == 1
    assert not half.exists()


def test_no_folder_is_no_error(folder, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    for place in (tmp_path / "file", Path("/proc/nowhere")):
        monkeypatch.setenv("XDG_CACHE_HOME", str(place))
        result, hits = _start()
        assert hits == 0
        assert np.isfinite(result).all()


def test_a_folder_that_goes_away_is_no_error(folder):
    _restart()
    with kept_programs(True):
        assert float(jax.jit(lambda x: x + 1)(1.0)) == 2
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
        assert float(jax.jit(lambda x: x + 2)(1.0)) == 3


def test_several_processes_share_a_folder(folder, tmp_path):
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "JAX_PLATFORMS": "cpu"}

    def start():
        return subprocess.Popen(
            [sys.executable, "-c", _SCRIPT],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    found = [process.communicate(timeout=120) for process in (start(), start())]
    assert found[0] == found[1]
    assert found[0][1] == ""
    assert len(found[0][0].splitlines()) == 10
