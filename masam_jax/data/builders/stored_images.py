"""Stored images as pixels, by Pillow: the same pixels wherever the data are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, overload

import numpy as np

from masam_jax.data.builders.tfds import tfds
from masam_jax.data.transforms.image_file import opened_image


def image_decoders(features: Mapping[str, Any]) -> dict[str, PillowDecoder]:
    """For ``as_data_source``: a decoder for each image, and each sequence of images.

    Args:
      features: what a builder's ``stored_features`` returns.
    """
    return {
        name: PillowDecoder()
        for name, feature in features.items()
        if isinstance(getattr(feature, "feature", feature), tfds.features.Image)
    }


def as_read(stored: Mapping[str, Any], features: Mapping[str, Any]) -> dict[str, Any]:
    """What a builder's ``encode`` returned, as a reader with `image_decoders` reads it back.

    Args:
      stored: arrays, numbers, text, ``bytes`` or a list of ``bytes``.
      features: what the builder's ``stored_features`` returns.
    """
    found: dict[str, Any] = {}
    for name, value in stored.items():
        if isinstance(value, bytes):
            found[name] = decode_image(value, features[name].shape[-1])
        elif isinstance(value, list):
            found[name] = StoredImages(value, features[name].feature.shape[-1])
        else:
            found[name] = value.encode() if isinstance(value, str) else np.asarray(value)
    return found


class PillowDecoder(tfds.decode.Decoder):
    """Decodes a stored image, or a sequence of them.

    TFDS itself would take OpenCV where it is installed, whose pixels differ from Pillow's: what a
    network sees would depend on a package that nothing here needs.
    """

    def decode_example_np(self, serialized_example: bytes) -> np.ndarray:
        """uint8 ``[H, W, C]``; see `decode_image`."""
        return decode_image(serialized_example, self.feature.shape[-1])

    def decode_batch_example_np(self, serialized_example: Sequence[bytes]) -> StoredImages:
        """The images of a sequence."""
        return StoredImages(serialized_example, self.feature.shape[-1])

    def decode_example(self, serialized_example: Any) -> Any:
        """How TensorFlow would decode.

        Raises:
          TypeError: always.
        """
        raise TypeError("images are decoded by as_data_source, without TensorFlow")


class StoredImages(Sequence[np.ndarray]):
    """Images ``[H, W, C]``, each decoded when it is asked for: few of a clip's frames mostly are.

    Args:
      encoded: JPEG or PNG files.
      channels: C.
    """

    def __init__(self, encoded: Sequence[bytes], channels: int) -> None:
        self._encoded = encoded
        self._channels = channels

    def __len__(self) -> int:
        return len(self._encoded)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...

    @overload
    def __getitem__(self, index: slice) -> StoredImages: ...

    def __getitem__(self, index: int | slice) -> np.ndarray | StoredImages:
        if isinstance(index, slice):
            return StoredImages(self._encoded[index], self._channels)
        return decode_image(self._encoded[index], self._channels)


def decode_image(encoded: bytes, channels: int) -> np.ndarray:
    """uint8 ``[H, W, channels]`` of a JPEG or PNG file; grey is the same in every channel.

    Raises:
      ValueError: the image is neither grey nor has it three colours, where three are needed, or
        it is larger than any that is stored.
    """
    with opened_image(encoded) as image:
        if image.mode != "L" and (image.mode, channels) != ("RGB", 3):
            raise ValueError(
                f"a stored image has the mode {image.mode!r}; L, or RGB of 3 channels, is needed"
                f" for {channels} channels."
            )
        pixels = np.asarray(image)
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., np.newaxis], channels, axis=-1)
