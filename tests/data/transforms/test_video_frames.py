import io

import numpy as np
import pytest
from PIL import Image

from masam_jax.data.damaged_media import DamagedMedia
from masam_jax.data.draws import Draws
from masam_jax.data.transforms.image_augmentation import (
    horizontal_flip,
    random_box,
    resize,
    resized_crop,
)
from masam_jax.data.transforms.video_frames import (
    choose_frames,
    draw_frames,
    jpeg_bytes,
    prepare_frames,
    read_frame_folder,
    read_frames,
)
from tests.data.builders.video_files import tone, write_video
from tests.hostile_media import png

COLOURS = [(200, 60, 40), (40, 180, 60), (40, 60, 200), (120, 120, 20), (10, 10, 10)]


@pytest.mark.parametrize("codec,ending", [("flv", "flv"), ("mpeg4", "mp4")])
def test_frames_at_whole_seconds(tmp_path, codec, ending):
    path = tmp_path / f"a.{ending}"
    write_video(path, codec=codec, colours=COLOURS, seconds=4.1)
    frames = read_frames(path)
    assert len(frames) == 5
    for frame, colour in zip(frames, COLOURS, strict=True):
        assert frame.shape == (48, 64, 3)
        assert frame.dtype == np.uint8
        assert np.abs(frame.astype(int) - colour).max() < 12
    assert len(read_frames(path, limit=2)) == 2
    # At 2 per second, each colour twice.
    assert [int(frame[0, 0, 1]) // 30 for frame in read_frames(path, rate=2.0, limit=4)] == [
        *[int(frames[0][0, 0, 1]) // 30] * 2,
        *[int(frames[1][0, 0, 1]) // 30] * 2,
    ]


@pytest.mark.parametrize("content", [None, b"", b"no video at all"])
def test_damage_is_named_once(tmp_path, content):
    path = tmp_path / "a.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DamagedMedia, match=r"a\.mp4: ") as caught:
        read_frames(path)
    assert str(caught.value).count("a.mp4") == 1
    assert ("no such file" in str(caught.value)) == (content is None)


def test_half_a_file_is_damage(tmp_path):
    path = tmp_path / "a.flv"
    write_video(path, codec="flv", colours=COLOURS, seconds=4)
    content = path.read_bytes()
    path.write_bytes(content[: int(0.6 * len(content))])
    with pytest.raises(DamagedMedia, match=r"a\.flv: its frame at 2\.00 s is damaged"):
        read_frames(path)


def test_sound_alone_is_damage(tmp_path):
    import soundfile

    path = tmp_path / "a.wav"
    soundfile.write(path, tone(440, 0.1, 16000), 16000)
    with pytest.raises(DamagedMedia, match=r"a\.wav: it has no video track"):
        read_frames(path)


def test_jpeg():
    image = np.tile(np.arange(0, 240, 4, dtype=np.uint8)[None, :, None], (40, 1, 3))
    found = np.asarray(Image.open(io.BytesIO(jpeg_bytes(image))))
    assert np.abs(found.astype(int) - image).max() < 4
    small = Image.open(io.BytesIO(jpeg_bytes(image, shorter=20)))
    assert small.format == "JPEG"
    assert small.size == (30, 20)


@pytest.mark.parametrize(
    "count,wanted,expected",
    [
        (10, 3, [1, 4, 7]),
        (10, 1, [4]),
        (3, 3, [0, 1, 2]),
        (2, 3, [0, 0, 1]),
        (1, 2, [0, 0]),
        (9, 3, [1, 4, 7]),
    ],
)
def test_the_middle_of_each_segment(count, wanted, expected):
    assert choose_frames(count, wanted, None) == expected


@pytest.mark.parametrize("count,wanted", [(10, 3), (2, 3), (5, 1)])
def test_any_frame_of_each_segment(count, wanted):
    drawn = np.array([choose_frames(count, wanted, Draws(0, key)) for key in range(200)])
    for index in range(wanted):
        begin, end = index * count // wanted, (index + 1) * count // wanted
        assert set(drawn[:, index].tolist()) == set(range(begin, max(end, begin + 1)))


def test_frames_of_a_whole_clip_are_different_and_in_order():
    drawn = np.array([draw_frames(5, 2, Draws(0, key)) for key in range(400)])
    assert (drawn[:, 0] < drawn[:, 1]).all()
    pairs, counts = np.unique(drawn, axis=0, return_counts=True)
    # Each of the ten pairs with the same chance.
    assert len(pairs) == 10
    assert counts.min() > 20
    assert draw_frames(5, 2, None) == choose_frames(5, 2, None)
    assert draw_frames(1, 2, Draws(0, 1)) == [0, 0]


def test_a_crop_for_each_frame():
    frames = np.random.default_rng(0).integers(0, 256, (4, 12, 16, 3), np.uint8)
    found = prepare_frames(frames, 2, 8, Draws(0, 5), pick="any", crop="frame")
    draws = Draws(0, 5)
    chosen = [frames[index] for index in draw_frames(4, 2, draws)]
    parts = [resized_crop(frame, random_box(12, 16, draws), 8) for frame in chosen]
    np.testing.assert_array_equal(found, [horizontal_flip(part, draws) for part in parts])


def test_extracted_frames_come_in_the_order_of_their_numbers(tmp_path):
    for number in (0, 2, 10):
        Image.fromarray(np.full((4, 6, 3), number, np.uint8)).save(tmp_path / f"frame_{number}.png")
    (tmp_path / "notes.txt").write_text("")
    found = read_frame_folder(tmp_path)
    assert [int(frame[0, 0, 0]) for frame in found] == [0, 2, 10]
    assert len(read_frame_folder(tmp_path, limit=2)) == 2
    (tmp_path / "frame_2.png").write_bytes(b"no image")
    with pytest.raises(DamagedMedia, match=r"frame_2\.png: cannot identify"):
        read_frame_folder(tmp_path)
    # A few bytes that say they are 81 million pixels.
    (tmp_path / "frame_2.png").write_bytes(png(9000, 9000))
    with pytest.raises(DamagedMedia, match=r"frame_2\.png: it says that it has 9000 x 9000 pixels"):
        read_frame_folder(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DamagedMedia, match="empty: it holds no frame"):
        read_frame_folder(tmp_path / "empty")


def test_a_git_lfs_pointer_is_named_as_such(tmp_path):
    path = tmp_path / "a.flv"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(DamagedMedia, match=r"a\.flv: it is a Git LFS pointer.*git lfs pull"):
        read_frames(path)


def test_prepared_frames():
    frames = np.random.default_rng(0).integers(0, 256, (10, 12, 16, 3), np.uint8)
    found = prepare_frames(frames, 3, 8, None)
    np.testing.assert_array_equal(found, [resize(frames[i], 8) for i in (1, 4, 7)])
    found = prepare_frames(frames, 3, 8, Draws(0, 5))
    draws = Draws(0, 5)
    chosen = choose_frames(10, 3, draws)
    box = random_box(12, 16, draws)
    expected = np.stack([resized_crop(frames[i], box, 8) for i in chosen])
    np.testing.assert_array_equal(found, horizontal_flip(expected, draws))
    assert found.shape == (3, 8, 8, 3)
    assert found.dtype == np.uint8
