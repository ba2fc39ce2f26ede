"""Strict reading of tensors by name: every one is found, has its shape, and is used."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping

import jax.numpy as jnp
import numpy as np

from masam_jax.core.extras import install_extras
from masam_jax.core.specs import nearest


def read_safetensors(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """All tensors of a ``.safetensors`` file, by name.

    Floating-point tensors narrower than 32 bits (float16, bfloat16) become float32, exactly; others
    keep their dtype. The format holds arrays and text alone, so that reading a file runs no code.

    Args:
      path: the file.

    Raises:
      ValueError: the file is missing, unreadable or damaged.
      ImportError: the package safetensors is not installed.
    """
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            f"reading .safetensors files needs the package safetensors: {install_extras('weights')}"
        ) from error
    if not os.path.isfile(path):
        raise ValueError(f"{os.fspath(path)} is missing; a .safetensors file is needed.")
    try:
        tensors = safetensors.numpy.load_file(path)
    # Its own kind of error, and NumPy's of dtypes and shapes that there cannot be.
    except Exception as error:
        raise ValueError(
            f"{os.fspath(path)} cannot be read as a .safetensors file ({str(error)[:300]}); "
            "an undamaged file in that format is needed."
        ) from error
    return {name: _at_least_float32(tensor) for name, tensor in tensors.items()}


def take(tensors: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The tensor called ``name``, which must have this shape.

    Args:
      tensors: tensors by name.
      name: the one that is needed.
      shape: its only accepted shape.

    Raises:
      ValueError: there is no such tensor, it has another shape, or is not of finite real numbers.
    """
    if name not in tensors:
        near = nearest(name, tensors, 3)
        hint = f"the nearest of its names are {', '.join(near)}" if near else _overview(tensors)
        raise ValueError(f"tensor {name!r} is missing among the weights; {hint}.")
    tensor = tensors[name]
    if tensor.shape != shape:
        raise ValueError(f"tensor {name!r} has shape {tensor.shape}; the network needs {shape}.")
    if not jnp.issubdtype(tensor.dtype, jnp.floating):
        raise ValueError(f"tensor {name!r} has dtype {tensor.dtype}; real numbers are needed.")
    if not np.isfinite(tensor).all():
        raise ValueError(f"tensor {name!r} has values that are not finite; weights have none.")
    return tensor


def check_all_taken(
    tensors: Mapping[str, np.ndarray], taken: Collection[str], allowed: Iterable[str] = ()
) -> None:
    r"""Refuses tensors that the network has no place for.

    Args:
      tensors: tensors by name.
      taken: names of those that the network took.
      allowed: regular expressions of names that may be left over, such as a classifier's
        ``r"fc\..*"``; each must match the whole name.

    Raises:
      ValueError: a tensor was neither taken nor allowed to be left over.
    """
    patterns = [re.compile(pattern) for pattern in allowed]
    unexpected = [
        name
        for name in tensors
        if name not in taken and not any(pattern.fullmatch(name) for pattern in patterns)
    ]
    if unexpected:
        raise ValueError(
            f"the weights hold tensors that this network has no place for: {_first(unexpected)}."
        )


def _at_least_float32(tensor: np.ndarray) -> np.ndarray:
    is_narrow = jnp.issubdtype(tensor.dtype, jnp.floating) and tensor.dtype.itemsize < 4
    return tensor.astype(np.float32) if is_narrow else tensor


def _overview(tensors: Mapping[str, np.ndarray]) -> str:
    return f"its names are {_first(tensors)}" if tensors else "there are none at all"


def _first(names: Collection[str], most: int = 6) -> str:
    listed = ", ".join(sorted(names)[:most])
    return listed if len(names) <= most else f"{listed}, and {len(names) - most} more"
