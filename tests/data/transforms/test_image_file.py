"""Files of images, sound and video that say more than they hold."""

import io
import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import soundfile
from PIL import Image

from masam_jax.data.damaged_media import DamagedMedia
from masam_jax.data.transforms.audio_clip import read_audio_track, read_wave
from masam_jax.data.transforms.chest_xray import read_xray
from masam_jax.data.transforms.image_file import image_bytes, opened_image
from masam_jax.data.transforms.video_frames import read_frames
from tests.hostile_media import png, wav


@pytest.mark.parametrize("width, height", [(9000, 9000), (1 << 30, 1 << 30), (30_000, 1)])
def test_an_image_that_says_it_is_huge_takes_no_memory(tmp_path, width, height):
    path = tmp_path / "x.png"
    path.write_bytes(png(width, height))
    tracemalloc.start()
    with pytest.raises(DamagedMedia, match=r"x\.png: .*(pixels|bomb)"):
        read_xray(path)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 10_000_000


def test_images_of_other_formats_are_refused():
    with (
        pytest.raises(Exception, match="cannot identify"),
        opened_image(b"%!PS-Adobe-3.0 EPSF\n"),
    ):
        pass
    for form in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"):
        stream = io.BytesIO()
        Image.fromarray(np.zeros((4, 5), np.uint8)).save(stream, form)
        with opened_image(stream.getvalue()) as image:
            assert image.size == (5, 4)


@pytest.mark.parametrize("read", [read_xray, read_wave, read_frames, read_audio_track, image_bytes])
def test_devices_and_pipes_are_no_files(tmp_path, read):
    """They may be read for ever."""
    (tmp_path / "device").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe")
    for name in ("device", "pipe", "absent"):
        with pytest.raises(DamagedMedia, match=rf"{name}: there is no such file"):
            read(tmp_path / name)


@pytest.mark.parametrize("rate", [1, 999, 2_000_003, (1 << 32) - 1])
@pytest.mark.parametrize("read", [read_wave, read_audio_track])
def test_rates_of_no_recording_are_refused(tmp_path, rate, read):
    """Resampling takes as much memory as the rates say."""
    (tmp_path / "x.wav").write_bytes(wav(4, rate, 1))
    with pytest.raises(DamagedMedia, match=r"x\.wav"):
        read(tmp_path / "x.wav")


@pytest.mark.parametrize("channels", [1, 2, 6, 8, 9, 12, 32])
def test_many_channels_end_no_process(tmp_path, channels):
    """Before, eight and more were a segmentation fault: in a process of its own, so."""
    sound = np.random.default_rng(0).integers(-99, 99, (4000, channels), np.int16)
    soundfile.write(tmp_path / "x.wav", sound, 16_000)
    program = (
        "import sys, numpy\nfrom pathlib import Path\n"
        "from masam_jax.data.transforms.audio_clip import read_audio_track\n"
        "numpy.save(sys.argv[2], read_audio_track(Path(sys.argv[1]))[0])"
    )
    words = [sys.executable, "-c", program, tmp_path / "x.wav", tmp_path / "x.npy"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    wanted = (sound / 32768).mean(axis=1)
    np.testing.assert_allclose(np.load(tmp_path / "x.npy"), wanted, rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    "content", [b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", b"ffconcat version 1.0\nfile other.avi\n"]
)
@pytest.mark.parametrize("read", [read_frames, read_audio_track])
def test_lists_of_addresses_are_not_followed(tmp_path, content, read):
    (tmp_path / "x.mp4").write_bytes(content)
    with pytest.raises(DamagedMedia, match=r"x\.mp4"):
        read(tmp_path / "x.mp4")
