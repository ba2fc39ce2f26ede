"""Chest X-rays: grey values at a stored size, and random affine crops of them."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from masam_jax.data.damaged_media import DamagedMedia, damaged
from masam_jax.data.draws import Draws
from masam_jax.data.transforms.image_augmentation import resize_shorter
from masam_jax.data.transforms.image_file import image_bytes, opened_image

STORED_SIZE = 256
"""Shorter side of a stored X-ray, in pixels."""


class Affine(NamedTuple):
    """A rotation and scaling about the middle of an image, then a shift.

    Attributes:
      angle: in degrees, clockwise.
      right: shift in pixels.
      down: shift in pixels.
      scale: above 1 enlarges.
    """

    angle: float
    right: int
    down: int
    scale: float


def read_xray(path: Path) -> np.ndarray:
    """Grey values of an image file, the shorter side 256 pixels (bilinear, averaging).

    Returns:
      uint8 ``[H, W]``.

    Raises:
      DamagedMedia: the file is missing, no image, or too large a one.
    """
    try:
        with opened_image(image_bytes(path)) as image:
            pixels = np.asarray(image.convert("L"))
    except DamagedMedia:
        raise
    # Each of Pillow's decoders has its own kinds of error.
    except Exception as error:
        raise damaged(path, error) from error
    return resize_shorter(pixels, STORED_SIZE)


def png_bytes(pixels: np.ndarray) -> bytes:
    """An image as a PNG file, which loses nothing.

    Args:
      pixels: uint8 ``[H, W]``.
    """
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def draw_affine(
    height: int,
    width: int,
    draws: Draws,
    *,
    degrees: float = 45.0,
    shift: float = 0.15,
    scale: tuple[float, float] = (0.85, 1.15),
) -> Affine:
    """A random map; angle, shift right, shift down and scale are uniform, drawn in this order.

    Args:
      height: of the image.
      width: of the image.
      draws: four numbers are taken.
      degrees: the angle lies in ``[-degrees, degrees)``.
      shift: most of it, as a share of each side; rounded to whole pixels.
      scale: least and most.
    """
    angle = draws.uniform(-degrees, degrees)
    right = round(draws.uniform(-shift * width, shift * width))
    down = round(draws.uniform(-shift * height, shift * height))
    return Affine(angle, right, down, draws.uniform(*scale))


def affine_crop(image: np.ndarray, affine: Affine, size: int) -> np.ndarray:
    """The middle of the mapped image, in one bilinear interpolation; zeros beyond its edges.

    With ``p`` a point relative to the middle of the image and ``R`` the clockwise rotation, the
    result has at ``p`` what the image has at ``R^-1 (p - shift) / scale``.

    Args:
      image: uint8 ``[H, W]``.
      affine: the map.
      size: side of the result.

    Returns:
      uint8 ``[size, size]``.
    """
    from PIL import Image

    height, width = image.shape
    angle = math.radians(affine.angle)
    cos, sin = math.cos(angle) / affine.scale, math.sin(angle) / affine.scale
    # Of the result's corner, where `center_crop` has it, relative to the middle.
    x = round((width - size) / 2) - width / 2 - affine.right
    y = round((height - size) / 2) - height / 2 - affine.down
    coefficients = (
        *(cos, sin, cos * x + sin * y + width / 2),
        *(-sin, cos, -sin * x + cos * y + height / 2),
    )
    mapped = Image.fromarray(image).transform(
        (size, size), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR, fillcolor=0
    )
    return np.asarray(mapped)
