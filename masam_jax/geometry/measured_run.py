"""All instruments applied to a run: numbers of every seed and part, as JSON; surfaces as NPZ."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from masam_jax.core.extras import needs
from masam_jax.core.random_keys import seed_key
from masam_jax.core.specs import unknown
from masam_jax.geometry.along_training import RADIUS
from masam_jax.geometry.of_runs import OfSeed, RunLosses
from masam_jax.geometry.surface import LossSurface, loss_surface

with needs("masam measure", "geometry"):
    from masam_jax.geometry.flatness import relative_flatness
    from masam_jax.geometry.largest_increase import sharpness
    from masam_jax.geometry.spectrum import hessian_spectrum
    from masam_jax.geometry.trace import hessian_trace

QUANTITIES = ("trace", "relative_flatness", "sharpness", "spectrum")
"""Numbers of every seed."""
SURFACE = "surface"
"""Of the first seed alone: the loss on a plane, jointly and of every encoder."""
_JOINT = "all"

_KEY = 5


def chosen_quantities(asked: Sequence[str]) -> tuple[str, ...]:
    """What is to be measured, each once, of words with blanks or commas between them.

    Raises:
      ValueError: nothing, or what is not known.
    """
    known = (*QUANTITIES, SURFACE)
    names = dict.fromkeys(name for entry in asked for name in entry.split(",") if name)
    for name in names:
        if name not in known:
            raise ValueError(f"measure: {unknown('quantity', name, known)}")
    if not names:
        raise ValueError(f"measure is empty; expected some of {', '.join(known)}")
    return tuple(names)


def measure_seeds(
    run: RunLosses, quantities: Sequence[str], which: str, relative_error: float
) -> dict[str, Any]:
    """Numbers of every seed.

    Args:
      run: the run.
      quantities: some of `QUANTITIES`; others are passed over.
      which: the loss, as of `RunLosses.loss`.
      relative_error: at which the estimates of traces stop.

    Returns:
      ``{quantity: {part: [one a seed]}}``, each the fields of `Estimate`, `Sharpness` or
      `Spectrum`; None of a seed whose loss is not finite. A part is a modality, ``"other"`` or
      ``"all"``.

    Raises:
      ValueError: as the instruments.
    """
    loss_fn = run.loss(which)
    instruments: dict[str, Callable[[OfSeed, Any], dict[str, Any]]] = {
        "trace": lambda of, key: hessian_trace(
            loss_fn, *of, labels=run.labels, key=key, relative_error=relative_error
        ),
        "relative_flatness": lambda of, key: relative_flatness(
            loss_fn, *of, labels=run.labels, key=key, relative_error=relative_error
        ),
        "sharpness": lambda of, key: sharpness(
            loss_fn, *of, labels=run.labels, rho=RADIUS, radius="relative", steps=5
        ),
        "spectrum": lambda of, key: hessian_spectrum(loss_fn, *of, labels=run.labels, key=key),
    }
    found: dict[str, Any] = {}
    for name in quantities:
        if name not in instruments:
            continue
        of_seeds = [_of_seed(run, seed, loss_fn, instruments[name]) for seed in run.seeds]
        parts = next((each for each in of_seeds if each), {})
        found[name] = {part: [each[part] if each else None for each in of_seeds] for part in parts}
    return found


def measure_surfaces(
    run: RunLosses,
    which: str,
    folder: Path,
    *,
    points: int,
    extent: float,
    told: Callable[[str], None] = lambda part: None,
) -> dict[str, LossSurface]:
    """Surfaces of the first seed, jointly (``"all"``) and of every encoder.

    Each is kept as ``PART.npz``, from which it goes on.

    Args:
      run: the run.
      which: the loss.
      folder: for the files.
      points: along each of two axes.
      extent: of the axes, in filter-normalised directions.
      told: of each surface, before it begins.

    Raises:
      ValueError: a file is damaged or of another surface.
    """
    of = run.of_seed(run.seeds[0])
    found = {}
    for part in (_JOINT, *run.modalities):
        told(part)
        found[part] = loss_surface(
            run.loss(which),
            *of,
            labels=run.labels,
            modality=None if part == _JOINT else part,
            key=jax.random.key(_KEY),
            points=points,
            extent=extent,
            path=folder / f"{part}.npz",
        )
    return found


def _of_seed(
    run: RunLosses, seed: int, loss_fn: Any, instrument: Callable[[OfSeed, Any], dict[str, Any]]
) -> dict[str, Any] | None:
    """An instrument's findings of a seed by part, as plain values; None where it diverged."""
    of = run.of_seed(seed)
    if not np.isfinite([float(loss_fn(of.params, batch)) for batch in of.batches]).all():
        return None
    found = instrument(of, jax.random.fold_in(seed_key(seed), _KEY))
    return {part: dataclasses.asdict(each) for part, each in found.items()}
