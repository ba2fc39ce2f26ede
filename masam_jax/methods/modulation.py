"""Scaling the gradient of every encoder by a number: what `ogm_ge` and `agm` share."""

import typing
from collections.abc import Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax

from masam_jax.core.partition import Partition
from masam_jax.core.signal_checks import require_entries
from masam_jax.core.specs import check_number

Tensors = Literal["all", "matrices", "convolutions"]
TENSORS: tuple[str, ...] = typing.get_args(Tensors)


def is_modulated(leaf: jax.Array, tensors: Tensors) -> bool:
    """Whether a leaf of an encoder is among ``tensors``.

    Args:
      leaf: an array.
      tensors: "all"; "matrices", those of two dimensions and more, which leaves out biases and
        the scales of normalisation; or "convolutions", those of exactly four.
    """
    return tensors == "all" or (leaf.ndim >= 2 if tensors == "matrices" else leaf.ndim == 4)


def read_scalars(
    method: str, name: str, signals: Mapping[str, Any], partition: Partition, dtype: Any
) -> tuple[jax.Array, jax.Array]:
    """A signal of one scalar per modality as an array ``[M]``, and which entries count.

    Args:
      method: the method's name, for errors.
      name: the signal's name.
      signals: the extra arguments of ``update``; ``present`` among them is understood.
      partition: the modalities, in the order of the array.
      dtype: the dtype of the array.

    Returns:
      The values, 0 in the place of those that do not count; and ``[M]`` bool, those of modalities
      that are present and finite.

    Raises:
      ValueError: the signal, or a modality's entry in it, is missing, or is no scalar.
    """
    signal = signals.get(name)
    if not isinstance(signal, Mapping):
        raise ValueError(
            f"{method} misses the signal {name!r}: pass {name}={{modality: scalar}} to update, for"
            f" {list(partition.modalities)}; got {signal!r}"
        )
    require_entries(name, signal, partition.modalities)
    shapes = {m: jnp.shape(signal[m]) for m in partition.modalities if jnp.ndim(signal[m])}
    if shapes:
        raise ValueError(f"{name} must have a scalar for each modality, got shapes {shapes}")
    values = jnp.stack([jnp.asarray(signal[m]).astype(dtype) for m in partition.modalities])
    present = signals.get("present") or {}
    here = jnp.stack([jnp.asarray(present.get(m, True), bool) for m in partition.modalities])
    usable = here & jnp.isfinite(values)
    return jnp.where(usable, values, 0), usable


def scale_encoders(
    updates: optax.Updates, partition: Partition, factors: jax.Array, tensors: Tensors
) -> Any:
    """``updates`` with the leaves of modality m times ``factors[m]``, for ``factors`` ``[M]``.

    Args:
      updates: a tree like the parameters.
      partition: whose leaf is whose.
      factors: in the order of ``partition.modalities``, in float32 or wider.
      tensors: which leaves of an encoder are scaled, see `is_modulated`.
    """
    leaves, structure = jax.tree.flatten(updates)
    for m, factor in zip(partition.modalities, factors, strict=True):
        for i in partition.positions(m):
            if is_modulated(leaves[i], tensors):
                leaves[i] = (leaves[i].astype(factor.dtype) * factor).astype(leaves[i].dtype)
    return jax.tree.unflatten(structure, leaves)


def check_until_step(value: Any) -> None:
    """Raises ``ValueError`` unless ``value`` is None or an integer of at least 0."""
    if value is not None:
        check_number("until_step", value, "[0, inf)", whole=True)
