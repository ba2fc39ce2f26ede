"""Gaussian noise at a signal-to-noise ratio."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from masam_jax.core.random_keys import typed_key
from masam_jax.core.specs import check_number
from masam_jax.data.corruption.argument_checks import check_corrupted_modalities


def add_noise(
    inputs: Mapping[str, Any],
    snr_db: Any,
    keys: jax.Array,
    modalities: Iterable[str] | None = None,
) -> dict[str, Any]:
    """Inputs with white Gaussian noise of power ``P / 10^(snr_db / 10)``.

    P is the mean square of the sample's own values, of each floating array by itself. Beside a
    ``"mask"`` the values at its True steps alone count and get noise. A sample without power stays
    as it is, and so do tokens, masks and integers: pixels held as uint8 must be floats by now. The
    mean is part of the power, so values belong standardised first.

    A sample's noise depends on its key, the modality's name and the sample's shape alone, whatever
    else the batch holds. Works inside ``jit`` and ``vmap``; float32 inside, the array's own
    dtype outside.

    Args:
      inputs: modality -> array ``[B, ...]``, or a dict of arrays such as
        ``{"values": [B, T, D], "mask": bool [B, T]}``.
      snr_db: signal-to-noise ratio in decibels, a finite number; may be traced.
      keys: PRNG keys, one a sample: typed ``[B]``, or raw uint32 ``[B, 2]``.
      modalities: which get noise; None for all that can.

    Raises:
      ValueError: a ratio that is not finite, keys that do not fit the batch, an unknown modality,
        or one asked for that has no floating values.
    """
    check_number("snr_db", snr_db, "(-inf, inf)")
    keys = typed_key(keys)
    if keys.ndim != 1:
        raise ValueError(f"keys have shape {keys.shape}; one key a sample, [B], is needed.")
    chosen = set(inputs) if modalities is None else set(modalities)
    check_corrupted_modalities("modalities", sorted(chosen), inputs)
    ratio = 10.0 ** (-jnp.asarray(snr_db, jnp.float32) / 20.0)
    noisy = {}
    for name, tree in inputs.items():
        if name in chosen:
            if modalities is not None and not any(map(_is_floating, jax.tree.leaves(tree))):
                raise ValueError(
                    f"modalities: {name!r} has no floating values to add noise to; "
                    "tokens and integers cannot be named."
                )
            tree = _noisy(name, tree, ratio, keys)
        noisy[name] = tree
    return noisy


def _noisy(name: str, tree: Any, ratio: jax.Array, keys: jax.Array) -> Any:
    mask = tree.get("mask") if isinstance(tree, Mapping) else None

    def leaf(path: Any, array: Any) -> Any:
        if not _is_floating(array):
            return array
        array = jnp.asarray(array)
        where = jax.tree_util.keystr(path)
        if array.shape[:1] != keys.shape:
            raise ValueError(
                f"keys have shape {keys.shape}; inputs[{name!r}]{where} have shape {array.shape}: "
                "one key a sample is needed."
            )
        # By name, so that the other modalities are no part of the draw.
        own = zlib.crc32(f"{name}{where}".encode())
        real = jnp.ones(array.shape[:1], jnp.bool_) if mask is None else jnp.asarray(mask)
        real = real.reshape(real.shape + (1,) * (array.ndim - real.ndim))
        return jax.vmap(
            lambda x, on, key: _noisy_sample(x, on, ratio, jax.random.fold_in(key, own))
        )(array, jnp.broadcast_to(real, array.shape), keys)

    return jax.tree_util.tree_map_with_path(leaf, tree)


def _noisy_sample(
    values: jax.Array, real: jax.Array, ratio: jax.Array, key: jax.Array
) -> jax.Array:
    signal = jnp.where(real, values, 0.0).astype(jnp.float32)
    count = jnp.maximum(jnp.sum(real.astype(jnp.float32)), 1.0)
    deviation = ratio * jnp.sqrt(jnp.sum(jnp.square(signal)) / count)
    noise = deviation * jax.random.normal(key, values.shape, jnp.float32)
    return jnp.where(real, (signal + noise).astype(values.dtype), values)


def _is_floating(array: Any) -> bool:
    return bool(jnp.issubdtype(array.dtype, jnp.floating))
