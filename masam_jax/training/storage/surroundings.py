"""What the methods of a run share on disk: splits, statistics, and what was taken from the data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from masam_jax.config import changed_fields
from masam_jax.config.errors import RunError
from masam_jax.data import Modality
from masam_jax.data.standardization import Statistics
from masam_jax.training.storage.atomic_files import read_json, write_json
from masam_jax.training.storage.data_facts import DATA_FILE, read_facts
from masam_jax.training.storage.sealed_files import (
    read_arrays,
    read_sealed_json,
    write_arrays,
    write_sealed_json,
)

_SPLITS, _STATISTICS, _FITTED = "splits.json", "statistics.npz", "fitted.json"
_KEPT = "kept.json"
_FLOAT = np.dtype(np.float32)


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


def check_data(root: Path, digest: str) -> None:
    """Checks that the run was trained on these data; one that has not begun was trained on none.

    Args:
      root: see `run_root`.
      digest: of the data now.

    Raises:
      RunError: they are others.
    """
    path = root / _SPLITS
    if not path.is_file():
        return
    saved = read_json(path)
    # Older runs have none.
    if saved.get("digest", digest) != digest:
        raise RunError(
            f"{path}: the data changed since this run: {saved.get('dataset')} had the sha256"
            f" {str(saved['digest'])[:12]}…, and has {digest[:12]}… now; bring back the data, or"
            " train anew"
        )


def write_statistics(root: Path, statistics: Statistics) -> None:
    """Writes ``statistics.npz``.

    Args:
      root: of the run.
      statistics: ``{m: (mean [S, D], std [S, D])}`` of each seed's training samples.

    Raises:
      OSError: it cannot be written.
    """
    arrays = {
        f"{name}/{m}": array
        for m, pair in statistics.items()
        for name, array in zip(("mean", "std"), pair, strict=True)
    }
    write_arrays(root / _STATISTICS, arrays)


def read_statistics(root: Path) -> Statistics:
    """What `write_statistics` wrote.

    Raises:
      RunError: the file is damaged or missing, or of other modalities than ``data.json`` has.
    """
    path = root / _STATISTICS
    arrays = read_arrays(path)
    modalities = sorted({name.partition("/")[2] for name in arrays})
    try:
        if set(arrays) != {f"{part}/{m}" for m in modalities for part in ("mean", "std")}:
            raise ValueError(f"it holds {sorted(arrays)}; a mean/ and a std/ of each is needed")
        statistics = {m: (arrays[f"mean/{m}"], arrays[f"std/{m}"]) for m in modalities}
        _check_numbers(statistics)
        if (root / DATA_FILE).is_file():
            _check_modalities(statistics, read_facts(root).modalities)
    except ValueError as error:
        raise RunError(f"{path} is damaged: {error}") from error
    return statistics


def write_fitted(root: Path, fitted: Any) -> None:
    """Writes ``fitted.json``: what decoding needs to know of the training samples."""
    write_sealed_json(root / _FITTED, {"fitted": fitted})


def read_fitted(root: Path) -> Any:
    """What `write_fitted` wrote; None for nothing.

    Raises:
      RunError: the file is damaged.
    """
    path = root / _FITTED
    return read_sealed_json(path, ("fitted",))["fitted"] if path.is_file() else None


def write_kept(root: Path, kept: Any) -> None:
    """Writes ``kept.json``: what reading files that are in no list needs of the prepared data."""
    write_sealed_json(root / _KEPT, {"kept": kept})


def read_kept(root: Path) -> Any:
    """What `write_kept` wrote; None for nothing.

    Raises:
      RunError: the file is damaged.
    """
    path = root / _KEPT
    return read_sealed_json(path, ("kept",))["kept"] if path.is_file() else None


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


def _check_numbers(statistics: Statistics) -> None:
    seeds = {len(x) if x.ndim else -1 for pair in statistics.values() for x in pair}
    if len(seeds) > 1:
        raise ValueError(f"its arrays are of different numbers of seeds: {sorted(seeds)}")
    for m, (mean, std) in statistics.items():
        if mean.ndim != 2 or mean.shape != std.shape or {mean.dtype, std.dtype} != {_FLOAT}:
            raise ValueError(
                f"of {m!r} it has {mean.dtype} {mean.shape} and {std.dtype} {std.shape}; two"
                f" arrays of {_FLOAT} [seeds, D] are needed"
            )
        if not (np.isfinite(mean).all() and np.isfinite(std).all() and (std > 0).all()):
            raise ValueError(f"of {m!r} it has numbers that are not finite, or a std of 0 or less")


def _check_modalities(statistics: Statistics, specs: Mapping[str, Modality]) -> None:
    wanted = {}
    for m, spec in specs.items():
        found = spec.normalization
        if found.rule == "fixed":
            wanted[m] = len(found.mean)
        elif found.is_fitted and spec.kind != "tokens":
            wanted[m] = 1 if found.rule == "scalar" else spec.shape[-1]
    widths = {m: mean.shape[-1] for m, (mean, _) in statistics.items()}
    if widths != wanted:
        raise ValueError(f"it is of the modalities and widths {widths}; {DATA_FILE} has {wanted}")
