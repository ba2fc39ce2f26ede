import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from masam_jax.data.draws import Draws
from masam_jax.data.transforms.image_augmentation import (
    CropBox,
    center_crop,
    horizontal_flip,
    random_box,
    random_resized_crop,
    resize,
    resize_shorter,
    resized_crop,
)


class Given:
    """Draws that are given."""

    def __init__(self, *numbers):
        self.numbers = list(numbers)

    def uniform(self, low=0.0, high=1.0):
        return low + (high - low) * self.numbers.pop(0)

    def log_uniform(self, low, high):
        return math.exp(self.uniform(math.log(low), math.log(high)))

    def integer(self, size):
        return int(self.uniform() * size)

    def coin(self):
        return self.uniform() < 0.5


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def bilinear(image, height, width):
    """Triangular weights of pixel centres; as wide as the step where the image shrinks."""

    def weights(old, new):
        step = old / new
        reach = max(step, 1.0)
        places = (np.arange(new)[:, None] + 0.5) * step - (np.arange(old)[None, :] + 0.5)
        found = np.maximum(0.0, 1.0 - np.abs(places) / reach)
        return found / found.sum(axis=1, keepdims=True)

    rows, columns = weights(image.shape[0], height), weights(image.shape[1], width)
    return np.einsum("yh,xw,hwc->yxc", rows, columns, image.astype(np.float64), optimize=True)


@pytest.mark.parametrize("size", [(9, 7), (40, 31), (20, 9), (5, 60)])
def test_resize_is_bilinear_with_antialiasing(size):
    image = picture(20, 30)
    found = resize(image, size)
    assert found.dtype == np.uint8
    # Pillow rounds after each axis.
    assert np.abs(found - bilinear(image, *size)).max() <= 1.5


def test_resize_to_a_square_and_to_the_same_size():
    image = picture(6, 4)
    assert resize(image, 5).shape == (5, 5, 3)
    np.testing.assert_array_equal(resize(image, (6, 4)), image)
    assert resize(image[..., 0], 3).shape == (3, 3)


@pytest.mark.parametrize("image", [np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8)])
def test_resize_of_no_image(image):
    with pytest.raises(ValueError, match=r"uint8 \[H, W, 3\] or \[H, W\] is needed"):
        resize(image, 2)


@pytest.mark.parametrize(
    "shape,size,expected",
    [((100, 201), 64, (64, 128)), ((201, 100), 64, (128, 64)), ((49, 49), 7, (7, 7))],
)
def test_the_shorter_side(shape, size, expected):
    assert resize_shorter(picture(*shape), size).shape[:2] == expected


def test_the_middle():
    image = picture(7, 9)
    # Torchvision rounds half to even: rows from round(1.5) = 2, columns from round(2.5) = 2.
    np.testing.assert_array_equal(center_crop(image, 4), image[2:6, 2:6])
    np.testing.assert_array_equal(center_crop(image, 5), image[1:6, 2:7])


def test_the_middle_of_a_smaller_image():
    found = center_crop(np.ones((2, 7, 3), np.uint8), 5)
    assert found.shape == (5, 5, 3)
    np.testing.assert_array_equal(found[:, 0, 0], [0, 1, 1, 0, 0])


def test_box_of_given_numbers():
    # Half of the area, square: 20 × 20 of 20 × 40.
    scale = (0.5 - 0.08) / 0.92
    box = random_box(20, 40, Given(scale, 0.5, 0.0, 0.999))
    assert box == CropBox(0, 20, 20, 20)
    # The first does not fit, the second does: 8 % of 100 × 100, as wide as it can be.
    draws = Given(1.0, 1.0, 0.0, 1.0, 0.0, 0.0)
    assert random_box(100, 100, draws) == CropBox(
        0, 0, round(math.sqrt(800 * 3 / 4)), round(math.sqrt(800 * 4 / 3))
    )
    assert not draws.numbers


@pytest.mark.parametrize(
    "shape,expected",
    [
        ((10, 1000), CropBox(0, 493, 10, 13)),
        ((1000, 10), CropBox(493, 0, 13, 10)),
    ],
)
def test_box_where_none_fits(shape, expected):
    assert random_box(*shape, Given(*[1.0, 0.5] * 10)) == expected


def test_box_of_an_image_of_an_allowed_shape_where_none_fits():
    assert random_box(10, 12, Given(*[1.0, 0.0] * 10)) == CropBox(0, 0, 10, 12)


@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 2**32))
def test_boxes_lie_inside(height, width, seed):
    top, left, box_height, box_width = random_box(height, width, Draws(seed))
    assert top >= 0
    assert left >= 0
    assert box_height >= 1
    assert box_width >= 1
    assert top + box_height <= height
    assert left + box_width <= width


def test_areas_and_shapes_are_those_asked_for():
    boxes = [random_box(1000, 1000, Draws(0, key)) for key in range(2000)]
    areas = np.array([box.height * box.width for box in boxes]) / 1e6
    shapes = np.log([box.width / box.height for box in boxes])
    assert areas.min() > 0.079
    assert areas.max() <= 1
    # Large areas of a shape that is not square do not fit, and are drawn again.
    assert 0.4 < areas.mean() < 0.54
    assert np.abs(shapes).max() <= math.log(4 / 3) + 0.01
    assert abs(shapes.mean()) < 0.02
    tops = np.array([box.top / max(1000 - box.height, 1) for box in boxes])
    assert abs(tops.mean() - 0.5) < 0.04


def test_resized_crop_is_crop_then_resize():
    image = picture(30, 40)
    np.testing.assert_array_equal(
        resized_crop(image, CropBox(3, 5, 20, 10), 8), resize(image[3:23, 5:15].copy(), 8)
    )
    one = random_resized_crop(image, 8, Draws(0, 3))
    np.testing.assert_array_equal(one, resized_crop(image, random_box(30, 40, Draws(0, 3)), 8))
    assert one.shape == (8, 8, 3)
    assert one.dtype == np.uint8


def test_flip():
    image = picture(4, 5)
    np.testing.assert_array_equal(horizontal_flip(image, Given(0.1)), image[:, ::-1])
    np.testing.assert_array_equal(horizontal_flip(image, Given(0.9)), image)
    stack = np.stack([image, image + 1])
    np.testing.assert_array_equal(horizontal_flip(stack, Given(0.1)), stack[:, :, ::-1])
