"""Silence, and images of one colour."""

import io

import numpy as np
import pytest
from PIL import Image

from masam_jax.data import Modality, MultimodalData
from masam_jax.data.constant_inputs import constant_parts, describe_constants, is_constant
from masam_jax.data.verification import verify_data


def _file(pixels, form):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, form)
    return stream.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_stored_parts(form):
    grey = np.full((40, 60, 3), 128, np.uint8)
    speck = grey.copy()
    speck[20, 30] = 255
    stored = {
        "grey": _file(grey, form),
        "speck": _file(speck, form),
        "frames": [_file(grey, form)] * 3,
        "changing": [_file(grey, form), _file(grey // 2, form)],
        "none": [],
        "silence": np.zeros(100, np.int16),
        "sound": np.arange(100, dtype=np.int16),
        "missing": np.full(100, np.nan, np.float32),
        "few": np.zeros(3, np.float32),
        "mask": np.ones(100, np.bool_),
        "empty": np.zeros((0, 768), np.float32),
        "words": "the same",
        "raw": b"the same",
        "number": 3,
    }
    assert constant_parts(stored) == ["grey", "frames", "silence"]


def test_samples_of_each_kind():
    image = Modality("image", (4, 5, 1), np.uint8)
    assert is_constant(np.full((4, 5, 1), 7, np.uint8), image)
    assert not is_constant(np.arange(20, dtype=np.uint8).reshape(4, 5, 1), image)
    # A spectrogram of silence that is shorter than others.
    sound = Modality("spectrogram", (4, 9, 1))
    padded = np.zeros((4, 9, 1), np.float32)
    assert is_constant(padded, sound)
    padded[:, :5] = -15.9
    assert is_constant(padded, sound)
    padded[2, 3] = 0
    assert not is_constant(padded, sound)
    steps = Modality("sequence", (6, 8))
    values = np.zeros((6, 8), np.float32)
    values[:2] = 3
    mask = np.arange(6) < 2
    # What is filled up does not count.
    assert is_constant({"values": values, "mask": mask}, steps)
    assert not is_constant({"values": values, "mask": np.ones(6, np.bool_)}, steps)
    assert not is_constant({"values": values, "mask": np.zeros(6, np.bool_)}, steps)
    tokens = Modality("tokens", (20,), np.int32, vocabulary_size=9)
    sample = {"tokens": np.ones(20, np.int32), "mask": np.ones(20, np.bool_)}
    assert not is_constant(sample, tokens)


def test_verify_names_them():
    images = np.random.default_rng(0).integers(0, 9, (30, 4, 4, 1), np.uint8)
    images[[3, 7]] = 5
    data = MultimodalData("toy", {"x": images}, np.arange(30) % 2, 2)
    assert verify_data(data).constants == {"x": ("3", "7")}


def test_lines():
    constants = {"x": [str(i) for i in range(1234)], "y": ["a"]}
    assert describe_constants(constants, 2) == [
        "constant x, such as silence or one colour, in 1,234 samples: 0, 1, and 1,232 more",
        "constant y, such as silence or one colour, in 1 sample: a",
    ]
    assert describe_constants({"y": ["a"]}, 0) == [
        "constant y, such as silence or one colour, in 1 sample"
    ]
    assert describe_constants({}, 2) == []
