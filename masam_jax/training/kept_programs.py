"""Compiled programs, kept from one start to the next: JAX's persistent compilation cache.

Only who may write to the folder can put programs there, so it is the user's own.
"""

import contextlib
import hashlib
import os
import platform
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock
import jax

_FOLDER = "jax_compilation_cache_dir"
_ENABLED = "jax_enable_compilation_cache"
# Small programs, too: a small network's start is many of them.
_SETTINGS = {"jax_persistent_cache_min_compile_time_secs": 0.0}
# Beyond it, what was not used for the longest time goes. With a bound, JAX locks the folder, and so
# processes that share it never read a program half written.
_BOUND = {"jax_compilation_cache_max_size": 2 * 2**30}
_LOCK, _PATIENCE = ".lockfile", 10.0

_UNREADABLE = re.compile(r"Error reading persistent compilation cache entry for '([\w.<>-]+)'")
_UNWRITABLE = "Error writing persistent compilation cache entry"


def programs_folder() -> Path:
    """Where programs are kept by default: in the user's cache folder, by kind of processor.

    Programs hold the processor's own instructions, and a home directory may be on several machines.

    Raises:
      RuntimeError: the user has no home directory.
    """
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    processor = hashlib.sha256(describe_processor().encode()).hexdigest()[:12]
    return Path(base) / "masam_jax" / "programs" / processor


def describe_processor() -> str:
    """What the processor can do, in the words of the system."""
    described = Path("/proc/cpuinfo")
    if described.is_file():
        lines = described.read_text(errors="replace").split("\n\n")[0].splitlines()
        return "\n".join(line for line in lines if line.startswith(("model name", "flags")))
    return f"{platform.machine()} {platform.processor()}"


@contextlib.contextmanager
def kept_programs(enabled: bool) -> Iterator[None]:
    """While entered, what is compiled is kept, and what was kept is not compiled again.

    A folder that JAX was told of, as by ``JAX_COMPILATION_CACHE_DIR``, is taken as it is; so are
    its other settings. Without a folder that can be written to, and where a program in it is
    damaged, programs are compiled as if there were none.

    Args:
      enabled: False compiles everything anew.
    """
    settings: dict[str, Any] = {_ENABLED: False}
    if enabled:
        settings = _unless_set(_SETTINGS)
        if jax.config.values[_FOLDER] is None and (folder := _usable_folder()):
            settings |= {_FOLDER: str(folder), **_unless_set(_BOUND)}
    previous = {name: jax.config.values[name] for name in settings}
    try:
        for name, value in settings.items():
            jax.config.update(name, value)
        with _damage_mended():
            yield
    finally:
        for name, value in previous.items():
            jax.config.update(name, value)


def _unless_set(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name.upper() not in os.environ}


def _usable_folder() -> Path | None:
    try:
        folder = programs_folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with filelock.FileLock(folder / _LOCK, timeout=_PATIENCE):
            _remove_unfinished(folder)
    except (OSError, RuntimeError):  # Also of no home directory, and of who holds the lock forever.
        return None
    return folder


def _remove_unfinished(folder: Path) -> None:
    """Removes what a process was writing when it was killed: JAX writes the time of use last."""
    for path in folder.glob("*-cache"):
        if not path.with_name(f"{path.name.removesuffix('-cache')}-atime").is_file():
            path.unlink()


@contextlib.contextmanager
def _damage_mended() -> Iterator[None]:
    """While entered, a program that cannot be read is removed, and nothing said of it.

    JAX warns, compiles it, and would leave the damaged one where it is.
    """
    with warnings.catch_warnings():
        shown = warnings.showwarning

        def show(message: Warning | str, *details: Any, **named: Any) -> None:
            text = str(message)
            if found := _UNREADABLE.match(text):
                _remove(found[1])
            elif not text.startswith(_UNWRITABLE):
                shown(message, *details, **named)

        warnings.filterwarnings("always", _UNREADABLE.pattern)
        warnings.showwarning = show
        yield


def _remove(program: str) -> None:
    """Removes what is kept of the programs of a name."""
    folder = Path(jax.config.values[_FOLDER] or os.devnull)
    with contextlib.suppress(OSError):
        for path in folder.glob(f"{program}-*"):
            path.unlink(missing_ok=True)
