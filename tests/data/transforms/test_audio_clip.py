import numpy as np
import pytest

from masam_jax.data.damaged_media import DamagedMedia
from masam_jax.data.transforms.audio_clip import (
    as_float,
    as_int16,
    fit_length,
    read_audio_track,
    read_wave,
    resample,
)
from tests.data.builders.video_files import tone, write_video


def write_wave(path, samples, rate=16000, subtype="PCM_16"):
    import soundfile

    soundfile.write(path, samples, rate, subtype=subtype)
    return path


def test_wave_is_read_as_written(tmp_path):
    samples = np.array([0, 1, -32768, 32767, 77], np.int16)
    waveform, rate = read_wave(write_wave(tmp_path / "a.wav", samples, 8000))
    assert rate == 8000
    assert waveform.dtype == np.float32
    np.testing.assert_array_equal(waveform, samples / 32768)


def test_channels_are_averaged(tmp_path):
    stereo = np.array([[100, 300], [-200, 0]], np.int16)
    waveform, _ = read_wave(write_wave(tmp_path / "a.wav", stereo))
    np.testing.assert_allclose(waveform, np.array([200, -100]) / 32768)


@pytest.mark.parametrize("samples", [[], [0.0, np.nan]])
def test_wave_without_sound(tmp_path, samples):
    path = write_wave(tmp_path / "a.wav", np.array(samples, np.float32), subtype="FLOAT")
    with pytest.raises(DamagedMedia, match=r"a\.wav: (it holds no sound|some of its samples)"):
        read_wave(path)


@pytest.mark.parametrize("content", [None, b"", b"no sound at all"])
@pytest.mark.parametrize("read", [read_wave, read_audio_track])
def test_damage_is_named_once(tmp_path, read, content):
    path = tmp_path / "a.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DamagedMedia, match=r"a\.wav: ") as caught:
        read(path)
    assert str(caught.value).count("a.wav") == 1
    assert ("no such file" in str(caught.value)) == (content is None)


def test_audio_track_without_loss(tmp_path):
    path = tmp_path / "a.mov"
    sound = np.stack([tone(440, 1, 16000), np.zeros(16000, np.float32)])
    write_video(
        path,
        codec="mpeg4",
        colours=[(9, 9, 9)],
        seconds=1,
        sound=sound.astype(np.float32),
        sound_codec="pcm_f32le",
    )
    waveform, rate = read_audio_track(path)
    assert rate == 16000
    np.testing.assert_allclose(waveform, sound.mean(axis=0), atol=1e-7)


def test_video_without_sound(tmp_path):
    path = tmp_path / "a.mp4"
    write_video(path, codec="mpeg4", colours=[(9, 9, 9)], seconds=1)
    with pytest.raises(DamagedMedia, match=r"a\.mp4: it has no audio track"):
        read_audio_track(path)


@pytest.mark.parametrize("rate,new_rate", [(16000, 22050), (44100, 22050), (48000, 22050)])
def test_resampled_tones_stay_themselves(rate, new_rate):
    found = resample(tone(700, 0.5, rate), rate, new_rate)
    assert found.dtype == np.float32
    assert len(found) == -(-rate * new_rate // (2 * rate))
    inner = slice(500, -500)
    np.testing.assert_allclose(found[inner], tone(700, 0.5, new_rate)[inner], atol=2e-3)


def test_frequencies_that_do_not_fit_are_removed():
    found = resample(tone(15000, 0.5, 44100), 44100, 22050)
    assert np.abs(found[500:-500]).max() < 5e-3


def test_the_same_rate_changes_nothing():
    waveform = tone(700, 0.1, 8000)
    assert resample(waveform, 8000, 8000) is waveform


def test_16_bits():
    waveform = np.array([-1.5, -1.0, 0.25, 1.0, 3.0, 0.4 / 32768, -0.6 / 32768], np.float32)
    stored = as_int16(waveform)
    assert stored.dtype == np.int16
    np.testing.assert_array_equal(stored, [-32768, -32768, 8192, 32767, 32767, 0, -1])
    back = as_float(stored)
    assert back.dtype == np.float32
    np.testing.assert_array_equal(as_int16(back), stored)


def test_length():
    np.testing.assert_array_equal(fit_length(np.arange(3), 8), [0, 1, 2, 0, 1, 2, 0, 1])
    np.testing.assert_array_equal(fit_length(np.arange(5), 2), [0, 1])
