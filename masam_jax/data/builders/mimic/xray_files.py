"""Where the images and tables of MIMIC-CXR-JPG are: as it unpacks, or resized into one folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from masam_jax.data.builders.mimic.pairing import METADATA, Xray

RELEASE = "mimic-cxr-jpg"
"""Folder of the release, which may hold one for its version."""

_VERSIONS = ("", "2.0.0", "2.1.0")
_RESIZED = ("resized", "mimic_cxr_resized")


def find_metadata(*sources: Path) -> Path | None:
    """The release's table of images, if there is one.

    Args:
      *sources: directories that may hold the release's.
    """
    places = [*_roots(sources), *sources]
    tables = [place / name for place in places for name in METADATA]
    return next((path for path in tables if path.is_file()), None)


def xray_file(dicom: str, xray: Xray | None, *sources: Path) -> Path:
    """Where an image is, or where it was looked for first.

    Args:
      dicom: its name.
      xray: what the table says of it; None where there is no table, so that a folder of all images
        is the only place.
      *sources: directories that may hold the release's.
    """
    roots = list(_roots(sources))
    places = [] if xray is None else [xray.path(root) for root in roots]
    places += [root / name / f"{dicom}.jpg" for root in [*roots, *sources] for name in _RESIZED]
    return next((path for path in places if path.is_file()), places[0])


def _roots(sources: Iterable[Path]) -> Iterator[Path]:
    for source in sources:
        for version in _VERSIONS:
            yield source / RELEASE / version
