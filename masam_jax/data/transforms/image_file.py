"""Image files of anyone's making, opened within bounds."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from masam_jax.data.damaged_media import require_file

if TYPE_CHECKING:
    from PIL.Image import Image

# Some of Pillow's others start programs (EPS), or read files that the image names.
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
# A chest X-ray has 8 million pixels. The ratio of the sides counts once the shorter is enlarged.
_MOST_PIXELS, _MOST_RATIO = 2**26, 50
_MOST_BYTES = 2**28


def image_bytes(path: Path) -> bytes:
    """The content of an image file.

    Raises:
      DamagedMedia: there is no such file, it is no regular one, or larger than 256 MiB.
      OSError: it cannot be read.
    """
    require_file(path, _MOST_BYTES)
    return path.read_bytes()


@contextmanager
def opened_image(content: bytes) -> Iterator[Image]:
    """An image, whose header alone is read yet.

    Args:
      content: of a BMP, GIF, JPEG, PNG, PPM, TIFF or WebP file.

    Raises:
      ValueError: it has more than 64 million pixels, or one side is 50 times the other.
      Exception: of many kinds, where it is damaged; each of Pillow's decoders has its own.
    """
    from PIL import Image, UnidentifiedImageError

    Image.init()
    formats = [name for name in _FORMATS if name in Image.OPEN]
    try:
        opened = Image.open(io.BytesIO(content), formats=formats)
    except UnidentifiedImageError:
        # Pillow's words name the stream.
        raise UnidentifiedImageError(
            f"cannot identify it as an image; {', '.join(formats)} are read"
        ) from None
    with opened as image:
        width, height = image.size
        if width * height > _MOST_PIXELS or max(width, height) > _MOST_RATIO * min(width, height):
            raise ValueError(
                f"it says that it has {width} x {height} pixels; at most {_MOST_PIXELS} are read,"
                f" and of sides of which one is at most {_MOST_RATIO} times the other"
            )
        yield image
