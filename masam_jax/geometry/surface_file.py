"""A surface on the disk, whole or half done."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from masam_jax.training.storage.atomic_files import write_bytes


class Stored(NamedTuple):
    """What a file holds: the fields of a `LossSurface`, and how far it is.

    Attributes:
      axes: float64 ``[n]`` each.
      losses: float64, NaN where they are not known yet.
      centre: the loss at the parameters.
      modality: whose parameters move; None for all.
      done: points that are done, the centre included.
      fingerprint: of what was measured; empty for nothing to go on from.
    """

    axes: tuple[np.ndarray, ...]
    losses: np.ndarray
    centre: float
    modality: str | None
    done: int
    fingerprint: str


def surface_digest(tree: Any, axes: tuple[np.ndarray, ...]) -> str:
    """SHA-256 of parameters, directions, samples and axes: what makes a surface that one."""
    digest = hashlib.sha256()
    for leaf in [*jax.tree.leaves(tree), *axes]:
        array = np.ascontiguousarray(jax.device_get(leaf))
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


class SurfaceFile:
    """An NPZ file, written in one move each time.

    Attributes:
      path: where it is, with the suffix ``.npz``.
    """

    def __init__(self, path: Path, fingerprint: str | None) -> None:
        """Of what `surface_digest` says; None for a file that is not gone on with."""
        self.path = path if path.suffix == ".npz" else path.with_name(f"{path.name}.npz")
        self._fingerprint = fingerprint or ""

    def write(
        self,
        axes: tuple[np.ndarray, ...],
        losses: np.ndarray,
        centre: float,
        modality: str | None,
        done: int | None = None,
    ) -> None:
        """Writes what is known; all of it where ``done`` is None.

        Raises:
          OSError: it cannot be written.
        """
        buffer = io.BytesIO()
        np.savez(
            buffer,
            losses=losses,
            centre=np.float64(centre),
            modality=np.array(modality or ""),
            done=np.int64(losses.size + 1 if done is None else done),
            fingerprint=np.array(self._fingerprint),
            **{f"axis_{number}": axis for number, axis in enumerate(axes)},  # type: ignore[arg-type]
        )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(self.path, buffer.getvalue())

    def read(self) -> Stored:
        """What it holds.

        Raises:
          ValueError: there is no such file, or it is damaged.
        """
        try:
            with np.load(io.BytesIO(self.path.read_bytes()), allow_pickle=False) as found:
                axes = tuple(found[name] for name in ("axis_0", "axis_1") if name in found.files)
                return Stored(
                    axes,
                    found["losses"],
                    float(found["centre"]),
                    str(found["modality"]) or None,
                    int(found["done"]),
                    str(found["fingerprint"]),
                )
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{self.path} is no surface, or damaged: {error}") from error

    def known(self) -> np.ndarray:
        """The losses that are done, the centre first; none where there is no file.

        Raises:
          ValueError: the file is damaged, or of another surface.
        """
        if not self.path.exists():
            return np.empty(0)
        stored = self.read()
        if stored.fingerprint != self._fingerprint:
            raise ValueError(
                f"{self.path} holds another surface (other parameters, directions, samples or"
                " axes); delete it, or give another path"
            )
        return np.array([stored.centre, *stored.losses.ravel()])[: stored.done]
