"""What the methods of a run share on disk: splits, statistics, and what was taken from the data."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from masam_jax.config import changed_fields
from masam_jax.config.errors import RunError
from masam_jax.data.standardization import Statistics
from masam_jax.training.storage.atomic_files import plain, read_json, write_bytes, write_json

_SPLITS, _STATISTICS, _FITTED = "splits.json", "statistics.npz", "fitted.json"


def run_root(path: Path) -> Path:
    """Where splits and statistics are: the run itself, or the comparison that a method is part of.

    Raises:
      RunError: there are none yet.
    """
    root = path.parent.parent if (path.parent.parent / _SPLITS).is_file() else path
    if not (root / _SPLITS).is_file():
        raise RunError(f"{root} has no {_SPLITS}: the run was stopped before it trained")
    return root


def write_splits(root: Path, described: Mapping[str, Any]) -> None:
    """Writes ``splits.json``, as `masam_jax.training.problem.Problem` describes the splits."""
    write_json(root / _SPLITS, described)


def check_splits(root: Path, digests: Mapping[str, str]) -> None:
    """Checks that the run was trained with these splits, or with those of some of its seeds.

    Args:
      root: see `run_root`.
      digests: seed -> digest of its splits now.

    Raises:
      RunError: they are others.
    """
    saved = read_json(root / _SPLITS)["seeds"]
    found = {seed: saved.get(seed) for seed in digests}
    changes = changed_fields(found, dict(digests))
    if changes:
        raise RunError(
            f"{root}/{_SPLITS}: the data are split otherwise now, for the seeds"
            f" {', '.join(change.split(':')[0] for change in changes)}; a run's split needs the"
            " data that it was trained on"
        )


def write_statistics(root: Path, statistics: Statistics) -> None:
    """Writes ``statistics.npz``.

    Args:
      root: of the run.
      statistics: ``{m: (mean [S, D], std [S, D])}`` of each seed's training samples.
    """
    arrays = {
        f"{name}/{m}": array
        for m, pair in statistics.items()
        for name, array in zip(("mean", "std"), pair, strict=True)
    }
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # its stub takes keywords for flags
    write_bytes(root / _STATISTICS, buffer.getvalue())


def read_statistics(root: Path) -> Statistics:
    """What `write_statistics` wrote.

    Raises:
      RunError: the file is damaged or missing.
    """
    path = root / _STATISTICS
    try:
        with np.load(path) as file:
            modalities = [key.removeprefix("mean/") for key in file if key.startswith("mean/")]
            return {m: (file[f"mean/{m}"], file[f"std/{m}"]) for m in modalities}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise RunError(f"{path} is damaged or missing: {error}") from error


def write_fitted(root: Path, fitted: Any) -> None:
    """Writes ``fitted.json``: what decoding needs to know of the training samples."""
    write_json(root / _FITTED, {"fitted": plain(fitted)})


def read_fitted(root: Path) -> Any:
    """What `write_fitted` wrote; None for nothing.

    Raises:
      RunError: the file is damaged.
    """
    path = root / _FITTED
    return read_json(path).get("fitted") if path.is_file() else None


def write_corruption(
    root: Path,
    flipped: Mapping[str, np.ndarray],
    present: Mapping[str, Mapping[str, np.ndarray]],
) -> None:
    """Writes ``corruption.json``.

    Args:
      root: of the run.
      flipped: seed -> the rows whose training label was made wrong.
      present: ``"train"`` or ``"test"`` -> modality -> bool ``[N]``, the rows that have it.
    """
    missing = {
        part: {m: np.flatnonzero(~has).tolist() for m, has in each.items()}
        for part, each in present.items()
    }
    wrong = {seed: rows.tolist() for seed, rows in flipped.items()}
    write_json(root / "corruption.json", {"wrong_labels": wrong, "missing": missing})
