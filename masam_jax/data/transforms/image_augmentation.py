"""Resizing, cropping and flipping of images, by torchvision's rules."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from masam_jax.data.draws import Draws

_ATTEMPTS = 10


class CropBox(NamedTuple):
    """A part of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int


def random_box(
    height: int,
    width: int,
    draws: Draws,
    *,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> CropBox:
    """A part of an image, of random area, shape and place.

    Area, then shape, are drawn up to ten times, until the part fits; it is then placed at random.
    If none fits, the part is the largest in the middle whose shape is allowed. Torchvision's
    ``RandomResizedCrop`` has the same rule (Szegedy et al., Going Deeper with Convolutions, 2015).

    Args:
      height: of the image.
      width: of the image.
      draws: up to 22 numbers are taken.
      scale: least and most area, as a share of the image's.
      ratio: least and most width / height; its logarithm is uniform.
    """
    for _ in range(_ATTEMPTS):
        area = height * width * draws.uniform(*scale)
        shape = draws.log_uniform(*ratio)
        box_width, box_height = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
        if 0 < box_width <= width and 0 < box_height <= height:
            top = draws.integer(height - box_height + 1)
            return CropBox(top, draws.integer(width - box_width + 1), box_height, box_width)
    box_width, box_height = width, height
    if width / height < ratio[0]:
        box_height = round(width / ratio[0])
    elif width / height > ratio[1]:
        box_width = round(height * ratio[1])
    return CropBox((height - box_height) // 2, (width - box_width) // 2, box_height, box_width)


def resized_crop(image: np.ndarray, box: CropBox, size: int) -> np.ndarray:
    """A part of an image, at another size.

    Args:
      image: uint8 ``[H, W, 3]``.
      box: the part.
      size: side of the result.

    Returns:
      uint8 ``[size, size, 3]``.
    """
    top, left, height, width = box
    return resize(image[top : top + height, left : left + width], size)


def random_resized_crop(image: np.ndarray, size: int, draws: Draws) -> np.ndarray:
    """A random part of an image (`random_box`), at a fixed size.

    Args:
      image: uint8 ``[H, W, 3]``.
      size: side of the result.
      draws: up to 22 numbers are taken.

    Returns:
      uint8 ``[size, size, 3]``.
    """
    height, width = image.shape[:2]
    return resized_crop(image, random_box(height, width, draws), size)


def horizontal_flip(image: np.ndarray, draws: Draws) -> np.ndarray:
    """Left and right exchanged, with chance 1/2.

    Args:
      image: ``[..., H, W, C]``; all images of a stack alike.
      draws: one number is taken.
    """
    return np.ascontiguousarray(image[..., ::-1, :]) if draws.coin() else image


def resize(image: np.ndarray, size: int | tuple[int, int]) -> np.ndarray:
    """An image at another size, with Pillow's bilinear filter, which averages when it shrinks.

    Args:
      image: uint8 ``[H, W, 3]`` or ``[H, W]``.
      size: ``(height, width)``, or both in one.

    Returns:
      uint8 ``[height, width, 3]`` or ``[height, width]``.

    Raises:
      ValueError: not uint8, or not of such a shape.
    """
    from PIL import Image

    is_image = image.ndim == 2 or (image.ndim == 3 and image.shape[-1] == 3)
    if image.dtype != np.uint8 or not is_image:
        raise ValueError(
            f"an image has shape {image.shape} and dtype {image.dtype}; uint8 [H, W, 3] or [H, W]"
            " is needed."
        )
    height, width = (size, size) if isinstance(size, int) else size
    if image.shape[:2] == (height, width):
        return image
    filtered = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(filtered)


def resize_shorter(image: np.ndarray, size: int) -> np.ndarray:
    """An image whose shorter side is ``size``; the longer side keeps the shape, rounded down.

    Args:
      image: uint8 ``[H, W, 3]`` or ``[H, W]``.
      size: of the shorter side.
    """
    height, width = image.shape[:2]
    shorter = min(height, width)
    # Integers: the quotient of a whole number must not fall below it.
    return resize(image, (size * height // shorter, size * width // shorter))


def center_crop(image: np.ndarray, size: int) -> np.ndarray:
    """The middle of an image; zeros where the image is smaller.

    Args:
      image: ``[H, W, C]`` or ``[H, W]``.
      size: side of the result.

    Returns:
      ``[size, size, C]`` or ``[size, size]``.
    """
    missing = [max(size - side, 0) for side in image.shape[:2]]
    if any(missing):
        # The extra row or column of an odd number goes after the image.
        before_after = [(side // 2, side - side // 2) for side in missing]
        image = np.pad(image, [*before_after, *[(0, 0)] * (image.ndim - 2)])
    top, left = (round((side - size) / 2) for side in image.shape[:2])
    return image[top : top + size, left : left + size]
