"""Stored images have the pixels that Pillow gives them, whatever else is installed."""

import io

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.core.features import image_feature

from masam_jax.data.builders import stored_images
from masam_jax.data.builders.stored_images import (
    PillowDecoder,
    StoredImages,
    decode_image,
    image_decoders,
)

PIXELS = np.random.default_rng(0).integers(0, 255, (6, 5, 3)).astype(np.uint8)


def _encode(image, form="PNG", **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


class _OtherDecoder:
    """Stands for OpenCV; TFDS asks it first."""

    IMREAD_UNCHANGED = -1

    @staticmethod
    def imdecode(encoded, flags):
        raise AssertionError("OpenCV was asked")


def test_pixels_are_exact():
    np.testing.assert_array_equal(decode_image(_encode(Image.fromarray(PIXELS)), 3), PIXELS)
    grey = _encode(Image.fromarray(PIXELS[..., 0]))
    np.testing.assert_array_equal(decode_image(grey, 1), PIXELS[..., :1])
    np.testing.assert_array_equal(decode_image(grey, 3), np.repeat(PIXELS[..., :1], 3, axis=-1))
    encoded = _encode(Image.fromarray(PIXELS), "JPEG", quality=60)
    found = decode_image(encoded, 3)
    np.testing.assert_array_equal(found, np.asarray(Image.open(io.BytesIO(encoded))))
    assert found.dtype == np.uint8


@pytest.mark.parametrize(
    "image, channels, mode",
    [
        (Image.fromarray(PIXELS), 1, "RGB"),
        (Image.fromarray(PIXELS).convert("RGBA"), 3, "RGBA"),
        (Image.fromarray(PIXELS).convert("P"), 3, "P"),
        (Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 200), 1, "I;16"),
    ],
)
def test_other_modes_are_refused(image, channels, mode):
    with pytest.raises(ValueError, match=rf"has the mode '{mode}.*for {channels} channels"):
        decode_image(_encode(image), channels)


def test_images_of_a_sequence_are_decoded_when_they_are_asked_for(monkeypatch):
    asked = []

    def watched(encoded, channels):
        asked.append(encoded)
        return decode_image(encoded, channels)

    monkeypatch.setattr(stored_images, "decode_image", watched)
    encoded = [_encode(Image.fromarray(PIXELS + shift)) for shift in range(4)]
    images = StoredImages(encoded, 3)
    assert len(images) == 4
    np.testing.assert_array_equal(images[2], PIXELS + 2)
    np.testing.assert_array_equal(images[-1], PIXELS + 3)
    assert asked == [encoded[2], encoded[3]]
    later = images[1:]
    assert len(asked) == 2
    assert [len(later), len(images[4:])] == [3, 0]
    np.testing.assert_array_equal(np.stack(list(later)), [PIXELS + i for i in (1, 2, 3)])


def test_images_and_sequences_of_images_have_a_decoder():
    image = tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg")
    features = {
        "image": image,
        "frames": tfds.features.Sequence(image),
        "waveform": tfds.features.Tensor(shape=(None,), dtype=np.int16),
        "steps": tfds.features.Sequence(np.float32),
        "text": tfds.features.Text(),
    }
    assert set(image_decoders(features)) == {"image", "frames"}
    with pytest.raises(TypeError, match="without TensorFlow"):
        PillowDecoder().decode_example(b"")


@pytest.mark.parametrize("name", ["food101", "crema_d", "mimic_mortality"])
def test_opencv_is_not_asked_where_it_is_installed(prepared, monkeypatch, name):
    monkeypatch.setattr(image_feature, "cv2", _OtherDecoder)
    data = prepared.open(name)
    data.fit(data.split(seed=0).train)
    decoders = image_decoders(data.builder.stored_features())
    raw = data.builder.as_data_source("train", decoders=dict.fromkeys(decoders, _Undecoded()))
    row = int(np.flatnonzero(data.builder.index.splits == "train")[0])
    found = data.reader.stored(row)
    for part in decoders:
        encoded, pixels = raw[0][part], found[part]
        if not isinstance(pixels, StoredImages):
            encoded, pixels = [encoded], [pixels]
        assert len(encoded) == len(pixels) > 0
        for each, array in zip(encoded, pixels, strict=True):
            expected = np.asarray(Image.open(io.BytesIO(each)))
            np.testing.assert_array_equal(np.squeeze(array), expected)
    assert data.reader([row]).inputs
    with pytest.raises(AssertionError, match="OpenCV was asked"):
        list(data.builder.as_data_source("train"))


class _Undecoded(tfds.decode.Decoder):
    """Leaves images as they are stored."""

    def decode_example(self, serialized_example):
        return serialized_example

    def decode_batch_example_np(self, serialized_example):
        return list(serialized_example)
