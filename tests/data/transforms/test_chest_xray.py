import io
import math

import numpy as np
import pytest
from PIL import Image

from masam_jax.data.damaged_media import DamagedMedia
from masam_jax.data.draws import Draws
from masam_jax.data.transforms.chest_xray import (
    Affine,
    affine_crop,
    draw_affine,
    png_bytes,
    read_xray,
)
from masam_jax.data.transforms.image_augmentation import center_crop
from tests.data.transforms.test_image_augmentation import Given, bilinear

IDENTITY = Affine(0.0, 0, 0, 1.0)


def picture(height, width, seed=0):
    """Grey values without any symmetry, smooth enough that neighbours are alike."""
    rows, columns = np.mgrid[:height, :width]
    waves = np.sin(rows / 5 + seed) + np.cos(columns / 7) + np.sin((rows + 2 * columns) / 9)
    return np.round(127 + 40 * waves).astype(np.uint8)


def reference(image, affine, size):
    """Each pixel by itself: where it comes from, and four neighbours' weights, in float64."""
    height, width = image.shape
    angle = math.radians(affine.angle)
    found = np.zeros((size, size))
    top, left = round((height - size) / 2), round((width - size) / 2)
    for row in range(size):
        for column in range(size):
            # From the middle of the image to the middle of the pixel, x to the right, y down.
            x = left + column + 0.5 - width / 2 - affine.right
            y = top + row + 0.5 - height / 2 - affine.down
            # Clockwise on a screen, undone.
            u = (math.cos(angle) * x + math.sin(angle) * y) / affine.scale + width / 2
            v = (-math.sin(angle) * x + math.cos(angle) * y) / affine.scale + height / 2
            if 0 <= u < width and 0 <= v < height:
                found[row, column] = _between(image, v - 0.5, u - 0.5)
    return found


def _between(image, row, column):
    total = 0.0
    for near in (math.floor(row), math.floor(row) + 1):
        for beside in (math.floor(column), math.floor(column) + 1):
            weight = (1 - abs(row - near)) * (1 - abs(column - beside))
            inside = (
                min(max(near, 0), image.shape[0] - 1),
                min(max(beside, 0), image.shape[1] - 1),
            )
            total += weight * float(image[inside])
    return total


@pytest.mark.parametrize(
    "affine",
    [
        IDENTITY,
        Affine(45.0, 0, 0, 1.0),
        Affine(-30.0, 5, -3, 1.15),
        Affine(12.5, -6, 4, 0.85),
        Affine(90.0, 0, 0, 1.0),
        Affine(0.0, 7, 2, 1.0),
    ],
)
@pytest.mark.parametrize("shape", [(40, 40), (40, 51), (47, 40)])
def test_pixels_are_those_of_the_map(affine, shape):
    image = picture(*shape)
    found = affine_crop(image, affine, 35)
    assert found.shape == (35, 35)
    assert found.dtype == np.uint8
    expected = reference(image, affine, 35)
    # Pillow cuts off what follows the point. At the very edge of the image, rounding decides.
    difference = np.abs(found - expected)
    assert (difference > 1.01).mean() <= 0.005
    assert difference.mean() < 0.8
    assert (found == 0).any() == (expected == 0).any()


@pytest.mark.parametrize("shape", [(40, 40), (41, 52), (47, 40)])
def test_without_a_change_it_is_the_middle(shape):
    image = picture(*shape)
    for size in (33, 34, 40):
        np.testing.assert_array_equal(affine_crop(image, IDENTITY, size), center_crop(image, size))


def test_directions():
    image = np.zeros((41, 41), np.uint8)
    image[10, 20] = 200
    moved = affine_crop(image, Affine(0.0, 3, 5, 1.0), 41)
    assert np.argwhere(moved).tolist() == [[15, 23]]
    # A quarter clockwise: what was above the middle is to the right of it.
    turned = affine_crop(image, Affine(90.0, 0, 0, 1.0), 41)
    assert np.unravel_index(turned.argmax(), turned.shape) == (20, 30)
    # First turned about the middle of the image, then shifted.
    both = affine_crop(image, Affine(90.0, 4, 2, 1.0), 41)
    assert np.unravel_index(both.argmax(), both.shape) == (22, 34)
    # A scale above 1 enlarges: what was 10 from the middle is 20 away.
    larger = affine_crop(image, Affine(0.0, 0, 0, 2.0), 41)
    rows, columns = np.nonzero(larger)
    assert np.average(rows, weights=larger[rows, columns]) == pytest.approx(0.5, abs=0.6)
    assert np.average(columns, weights=larger[rows, columns]) == pytest.approx(20, abs=0.6)


def test_what_lies_outside_is_zero():
    image = np.full((40, 40), 90, np.uint8)
    found = affine_crop(image, Affine(0.0, 10, 0, 1.0), 40)
    assert (found[:, :10] == 0).all()
    assert (found[:, 10:] == 90).all()


def test_numbers_of_the_map_are_drawn_in_this_order():
    affine = draw_affine(200, 100, Given(0.75, 0.9, 0.25, 0.5))
    assert affine == Affine(22.5, 12, -15, pytest.approx(1.0))
    found = [draw_affine(200, 100, Draws(0, key)) for key in range(500)]
    low, high = ([f(x) for x in zip(*found, strict=True)] for f in (min, max))
    assert -45 <= low[0] < -43
    assert 43 < high[0] < 45
    assert (low[1], high[1]) == (-15, 15)
    assert (low[2], high[2]) == (-30, 30)
    assert 0.85 <= low[3] < 0.86
    assert 1.14 < high[3] < 1.15


@pytest.mark.parametrize(
    "shape,size", [((300, 400), (256, 341)), ((100, 64), (400, 256)), ((256, 256), (256, 256))]
)
def test_the_shorter_side_of_a_file_becomes_256(tmp_path, shape, size):
    image = picture(*shape)
    Image.fromarray(image).save(tmp_path / "xray.png")
    found = read_xray(tmp_path / "xray.png")
    assert found.shape == size
    assert found.dtype == np.uint8
    expected = bilinear(image[..., None], *size)[..., 0]
    assert np.abs(found - expected).max() <= 1.5


def test_jpeg_in_colour_becomes_grey(tmp_path):
    image = np.stack([picture(256, 256)] * 3, axis=-1)
    Image.fromarray(image).save(tmp_path / "xray.jpg", quality=95)
    found = read_xray(tmp_path / "xray.jpg")
    assert np.abs(found.astype(int) - image[..., 0]).max() <= 4


@pytest.mark.parametrize("content,why", [(None, "there is no such file"), (b"no image", "image")])
def test_files_that_are_no_images_are_named(tmp_path, content, why):
    path = tmp_path / "xray.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DamagedMedia, match=rf"xray\.jpg: .*{why}"):
        read_xray(path)


def test_half_of_a_file_is_damage(tmp_path):
    path = tmp_path / "xray.jpg"
    Image.fromarray(picture(80, 90)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DamagedMedia, match=r"xray\.jpg: image file is truncated"):
        read_xray(path)


def test_png_keeps_every_value():
    image = np.random.default_rng(0).integers(0, 256, (30, 20), np.uint8)
    found = Image.open(io.BytesIO(png_bytes(image)))
    assert found.mode == "L"
    np.testing.assert_array_equal(np.asarray(found), image)
