"""Inputs that say nothing: silence, and images of one colour."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from masam_jax.data.modality import Modality

# Fewer values may well be the same.
_LEAST = 16


def is_constant(sample: Any, modality: Modality) -> bool:
    """Whether all values of a decoded sample are one; tokens, and fewer than 16 values, never are.

    Args:
      sample: an array, or ``{"values": …, "mask": …}``, of which real steps count; of a
        spectrogram, columns of zeros at its end are padding, and do not.
      modality: what it is of.
    """
    if modality.kind == "tokens":
        return False
    if isinstance(sample, Mapping):
        sample = np.asarray(sample["values"])[np.asarray(sample["mask"])]
    array = np.asarray(sample)
    return _is_constant_array(_without_padding(array) if modality.kind == "spectrogram" else array)


def constant_parts(stored: Mapping[str, Any]) -> list[str]:
    """Names of the parts of an encoded sample that are constant.

    Args:
      stored: name -> array, image file, or list of image files, which are constant if all their
        pixels are the same.
    """
    return [name for name, value in stored.items() if _is_constant_part(value)]


def describe_constants(constants: Mapping[str, Sequence[str]], most: int) -> list[str]:
    """A line for each kind of input: how many are constant, and the first of them.

    Args:
      constants: name -> samples.
      most: how many of each are named.
    """
    lines = []
    for name, keys in constants.items():
        rest = len(keys) - most
        more = f", and {rest:,} more" if rest > 0 else ""
        named = f": {', '.join(keys[:most])}{more}" if most else ""
        samples = f"{len(keys):,} sample{'s' if len(keys) > 1 else ''}"
        lines.append(f"constant {name}, such as silence or one colour, in {samples}{named}")
    return lines


def _is_constant_part(value: Any) -> bool:
    if isinstance(value, bytes):
        return _colour_of(value) is not None
    if isinstance(value, list):
        colours = {_colour_of(item) for item in value}
        return len(colours) == 1 and None not in colours
    return _is_constant_array(np.asarray(value))


def _without_padding(array: np.ndarray) -> np.ndarray:
    """``[H, T, 1]`` up to the last column that is not all zeros; all of it, where there is none."""
    real = np.flatnonzero(array.any(axis=(0, 2)))
    return array[:, : real[-1] + 1] if len(real) else array


def _is_constant_array(array: np.ndarray) -> bool:
    if array.size < _LEAST or array.dtype.kind not in "iuf":
        return False
    # Comparisons with NaN are false: what is missing is not constant.
    return bool(array.min() == array.max())


def _colour_of(content: bytes) -> tuple[Any, ...] | None:
    """The colour of an image file that has one alone."""
    from PIL import UnidentifiedImageError

    try:
        return _colour_of_image(content)
    except UnidentifiedImageError:  # Bytes of another kind.
        return None


def _colour_of_image(content: bytes) -> tuple[Any, ...] | None:
    from PIL import Image

    with Image.open(io.BytesIO(content)) as image:
        # An eighth of a JPEG's size takes a tenth of the time, and tells most images.
        full = image.size
        image.draft(None, (1, 1))
        colour = _only_colour(image)
        if colour is None or image.size == full:
            return colour
    with Image.open(io.BytesIO(content)) as image:
        return _only_colour(image)


def _only_colour(image: Any) -> tuple[Any, ...] | None:
    pixels = np.asarray(image)
    flat = pixels.reshape(-1, pixels.shape[2] if pixels.ndim == 3 else 1)
    return tuple(flat[0].tolist()) if len(flat) and (flat == flat[0]).all() else None
