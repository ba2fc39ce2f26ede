import numpy as np
import pytest

from masam_jax.data.transforms.fbank import filterbank, fit_frames, samples_of_frames


def mel(frequency):
    return 1127.0 * np.log(1.0 + np.asarray(frequency, np.float64) / 700.0)


def reference(waveform, rate, bins, highest):
    """Kaldi's filterbank, from its documentation."""
    waveform = np.asarray(waveform, np.float64)
    waveform = waveform - waveform.mean()
    length, shift = int(rate * 0.025), int(rate * 0.01)
    transform = 1 << (length - 1).bit_length()
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / (length - 1))
    ends = np.linspace(mel(20.0), mel(highest), bins + 2)
    places = mel(np.arange(transform // 2) * rate / transform)
    up = (places - ends[:-2, None]) / (ends[1:-1] - ends[:-2])[:, None]
    down = (ends[2:, None] - places) / (ends[2:] - ends[1:-1])[:, None]
    filters = np.maximum(0.0, np.minimum(up, down))
    rows = []
    for start in range(0, len(waveform) - length + 1, shift):
        frame = waveform[start : start + length]
        frame = frame - frame.mean()
        # The first sample stands in for the one before it.
        frame = frame - 0.97 * np.concatenate([frame[:1], frame[:-1]])
        power = np.abs(np.fft.rfft(frame * hann, transform)[: transform // 2]) ** 2
        rows.append(np.log(np.maximum(filters @ power, np.finfo(np.float32).eps)))
    return np.array(rows), filters


def noise(length, seed=0):
    rng = np.random.default_rng(seed)
    return (0.1 * rng.normal(size=length) + 0.05).astype(np.float32)


@pytest.mark.parametrize(
    "rate,bins,highest", [(22050, 128, 8000.0), (16000, 40, 8000.0), (44100, 128, 22050.0)]
)
def test_it_is_kaldis(rate, bins, highest):
    waveform = noise(rate // 5)
    found = filterbank(waveform, rate=rate, bins=bins, highest=highest)
    expected, _ = reference(waveform, rate, bins, highest)
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=5e-3)


def test_no_filter_is_empty_at_22050_and_some_are_at_16000():
    waveform = noise(8000)
    for rate, empty in ((22050, False), (16000, True)):
        _, filters = reference(waveform, rate, 128, 8000.0)
        assert (filters.sum(axis=1) == 0).any() == empty
    with pytest.raises(ValueError, match="num_mel_bins"):
        filterbank(waveform, rate=16000, bins=128, highest=8000.0)


def test_an_offset_changes_nothing():
    waveform = noise(4000)
    np.testing.assert_allclose(filterbank(waveform), filterbank(waveform + 0.5), atol=1e-2)


def test_silence_has_the_least_value():
    found = filterbank(np.zeros(2000, np.float32))
    np.testing.assert_allclose(found, np.log(np.finfo(np.float32).eps), rtol=1e-6)


@pytest.mark.parametrize("frames", [1, 299, 1024])
def test_samples_of_frames(frames):
    samples = samples_of_frames(frames)
    assert len(filterbank(noise(samples))) == frames
    if frames > 1:
        assert len(filterbank(noise(samples - 1))) == frames - 1


def test_three_seconds_have_299_frames():
    assert filterbank(noise(66150)).shape == (299, 128)


def test_too_short():
    with pytest.raises(ValueError, match="550 samples"):
        filterbank(noise(550))


def test_fit_frames():
    features = np.arange(6.0).reshape(3, 2)
    np.testing.assert_array_equal(fit_frames(features, 2), features[:2])
    np.testing.assert_array_equal(fit_frames(features, 4), [*features.tolist(), [0, 0]])
