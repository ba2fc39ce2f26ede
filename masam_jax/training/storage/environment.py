"""What a run ran on: versions, commit, devices, settings, command."""

import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jax

import masam_jax
from masam_jax.training.storage.atomic_files import read_json, write_json

_PACKAGES = (
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "orbax-checkpoint",
    "grain",
    "numpy",
    "scipy",
    "scikit-learn",
    "matplotlib",
    "tensorboardX",
    "tyro",
    # What decodes and stores samples, where it is installed.
    "tensorflow-datasets",
    "array-record",
    "av",
    "espeakng-loader",
    "kaldi-native-fbank",
    "pillow",
    "soundfile",
)


# Settings of jax, of its configuration or of JAX_…, that change the numbers of a run.
_SETTINGS = ("enable_x64", "threefry_partitionable", "default_matmul_precision", "disable_jit")


def write_environment(path: Path, command: list[str]) -> None:
    """Writes ``environment.json``; a session that resumes adds its own to the first's.

    Args:
      path: the run directory.
      command: the command line, as a list of words.

    Raises:
      RunError: the first session's is damaged.
      OSError: it cannot be written.
    """
    file, environment = path / "environment.json", describe_environment(command)
    if file.is_file():
        first = read_json(file)
        environment = {**first, "resumed": [*first.get("resumed", []), environment]}
    write_json(file, environment)


def describe_environment(command: list[str]) -> dict[str, Any]:
    """The content of ``environment.json``.

    Args:
      command: the command line, as a list of words.
    """
    return {
        "command": shlex.join(command),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "packages": {
            "masam-jax": masam_jax.__version__,
            **{name: _version(name) for name in _PACKAGES},
        },
        "git_commit": _git_commit(),
        "jax_settings": {name: getattr(jax.config, f"jax_{name}") for name in _SETTINGS},
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "backend": jax.default_backend(),
        "devices": [str(device) for device in jax.devices()],
        "processes": jax.process_count(),
        "cpu_count": os.cpu_count(),
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    """The commit of the source tree this package runs from, with ``-dirty`` for local changes."""
    directory = Path(__file__).resolve().parent
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=directory,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
        # An installed copy may lie inside somebody else's repository.
        tracked = subprocess.run(
            ["git", "ls-files", "--error-unmatch", Path(__file__).name],
            cwd=directory,
            capture_output=True,
            check=False,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() if tracked.returncode == 0 else None
