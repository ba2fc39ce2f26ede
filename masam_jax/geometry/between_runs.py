"""Two runs compared: the loss on the way between them, and how alike their encoders are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from masam_jax.config.errors import RunError, user_errors
from masam_jax.geometry.connectivity import LinearPath, mode_connectivity
from masam_jax.geometry.of_runs import OfSeed, RunLosses
from masam_jax.geometry.similarity import cka

ERROR_RATE = "error"
"""What `connect_runs` takes beside the losses: the share of samples that are not right."""


def connect_runs(
    first: RunLosses,
    second: RunLosses,
    seed: int,
    which: str = "fusion",
    *,
    points: int = 25,
) -> LinearPath:
    """The loss on the line between the networks of one seed of two runs, see `mode_connectivity`.

    Two methods of a comparison have the same initial parameters and batches for a seed, so that
    what lies between them is due to the methods. Running statistics of normalisations go from the
    first's to the second's along with the parameters.

    Args:
      first: opened with the same options as the other.
      second: of the same network and data.
      seed: of both.
      which: a loss as of `RunLosses.loss`, or ``"error"`` for one less the accuracy.
      points: along the way, both ends included.

    Raises:
      RunError: different networks or samples, a seed that one of them lacks, or no such loss.
    """
    one, other = _of_both(first, second, seed)
    loss_fn = first.accuracy if which == ERROR_RATE else first.loss(which)
    with user_errors():
        found = mode_connectivity(
            _moving_statistics(loss_fn),
            (one.params, one.batches[0].statistics),
            (other.params, other.batches[0].statistics),
            one.batches,
            points=points,
        )
    if which == ERROR_RATE:
        return LinearPath(found.steps, 1 - found.losses)
    return found


def encoder_similarity(
    first: RunLosses, second: RunLosses, seed: int, *, unbiased: bool = False
) -> dict[str, float]:
    """Linear CKA of the features of every encoder of one seed of two runs, see `cka`.

    Args:
      first: opened with the same options as the other.
      second: of the same data; its network may be another.
      seed: of both.
      unbiased: as of `cka`.

    Raises:
      RunError: different modalities or samples, a seed that one of them lacks, or features that
        do not vary.
    """
    one, other = _of_both(first, second, seed)
    if first.modalities != second.modalities:
        raise RunError(
            f"the runs have the modalities {', '.join(first.modalities)} and"
            f" {', '.join(second.modalities)}; the same are needed"
        )
    with user_errors():
        return {
            m: cka(_features(first, one, m), _features(second, other, m), unbiased=unbiased)
            for m in first.modalities
        }


def _of_both(first: RunLosses, second: RunLosses, seed: int) -> tuple[OfSeed, OfSeed]:
    one, other = first.of_seed(seed), second.of_seed(seed)
    rows = [[np.asarray(batch.batch.rows) for batch in of.batches] for of in (one, other)]
    if len(rows[0]) != len(rows[1]) or not all(map(np.array_equal, *rows)):
        raise RunError(
            f"the runs have other samples for seed {seed}; open both with the same split and"
            " options, of the same data"
        )
    return one, other


def _moving_statistics(loss_fn: Callable[[Any, Any], jax.Array]) -> Callable[[Any, Any], jax.Array]:
    def loss(moved: tuple[Any, Any], batch: Any) -> jax.Array:
        params, statistics = moved
        return loss_fn(params, batch._replace(statistics=statistics))

    return loss


def _features(run: RunLosses, of: OfSeed, modality: str) -> list[np.ndarray]:
    encode = jax.jit(run.features(modality))
    return [np.asarray(encode(of.params, batch)) for batch in of.batches]
