"""Samples that lack a modality."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from masam_jax.core.specs import check_number
from masam_jax.data.corruption.argument_checks import check_corrupted_modalities, check_seed

# Streams of the seed of their own, as those of `label_noise.py`.
_MISSING, _KEPT = 23, 24


def present_rows(
    num_rows: int,
    modalities: Iterable[str],
    rates: Mapping[str, float] | float,
    seed: int,
    *,
    keep_one: bool = True,
) -> dict[str, np.ndarray]:
    """Which rows have which modality; each is missing with its rate, independently of all others.

    A draw depends on the seed, the row and the modality's name alone: more rows or another
    modality change nothing, and with one seed what is missing at a rate is missing at every
    higher rate (before ``keep_one``). A rate of 1 takes the modality away as a whole.

    Args:
      num_rows: N.
      modalities: names.
      rates: probability that a row lacks the modality, in [0, 1]: one for all, or modality ->
        rate, 0 for those that are not named.
      seed: integer >= 0.
      keep_one: a row that would lose every modality keeps one, drawn uniformly from those with a
        rate below 1 (from all, where no rate is). With two modalities of rate r, a row then lacks a
        given one with probability ``r - r^2 / 2``.

    Returns:
      modality -> bool ``[N]``, True where the row has it; names sorted.

    Raises:
      ValueError: no modality, a rate out of range or of an unknown modality, or a negative number.
    """
    names = sorted(set(modalities))
    if not names:
        raise ValueError("modalities are empty; at least one is needed.")
    if num_rows < 0:
        raise ValueError(f"num_rows is {num_rows}; it must be >= 0.")
    check_seed(seed)
    if isinstance(rates, Mapping):
        check_corrupted_modalities("rates", rates, names)
        rate = {name: float(rates.get(name, 0.0)) for name in names}
    else:
        rate = dict.fromkeys(names, float(rates))
    for name, value in rate.items():
        check_number(f"rates[{name!r}]", value, "[0, 1]")
    present = {
        # The bytes of the name as part of the key: no two names share a stream.
        name: _uniform(num_rows, seed, _MISSING, *name.encode()) >= rate[name]
        for name in names
    }
    if keep_one:
        able = [name for name in names if rate[name] < 1] or names
        kept = (_uniform(num_rows, seed, _KEPT) * len(able)).astype(np.int32)
        lost = ~np.any(list(present.values()), axis=0)
        for index, name in enumerate(able):
            present[name] |= lost & (kept == index)
    return present


def drop(inputs: Mapping[str, Any], present: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs with zeros in place of the modalities that a row lacks; masks become False there.

    Works inside ``jit`` and ``vmap``; what a missing row held, NaN included, leaves no trace.

    Args:
      inputs: modality -> tree of arrays ``[B, ...]``.
      present: modality -> bool ``[B]``; a modality that is not named stays as it is.

    Raises:
      ValueError: an unknown modality, or rows whose number is not that of the inputs.
    """
    check_corrupted_modalities("present", present, inputs)
    return {
        name: jax.tree.map(lambda x, n=name: _zero(n, x, present[n]), tree)
        if name in present
        else tree
        for name, tree in inputs.items()
    }


def _zero(name: str, array: Any, present: Any) -> jax.Array:
    array, present = jnp.asarray(array), jnp.asarray(present, jnp.bool_)
    if array.shape[: present.ndim] != present.shape:
        raise ValueError(
            f"present[{name!r}] has shape {present.shape}; inputs[{name!r}] have shape "
            f"{array.shape}: the rows must agree."
        )
    rows = present.reshape(present.shape + (1,) * (array.ndim - present.ndim))
    return jnp.where(rows, array, jnp.zeros_like(array))


def _uniform(count: int, seed: int, *key: int) -> np.ndarray:
    """Numbers in [0, 1), float64 ``[count]``; the i-th does not depend on ``count``."""
    words = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)).random_raw(count)
    # The upper 53 bits: what a double holds.
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
