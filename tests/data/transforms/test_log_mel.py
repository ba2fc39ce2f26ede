import math

import numpy as np
import pytest

from masam_jax.data.transforms.log_mel import log_mel, mel_filters

SETTINGS = {"frame": 64, "hop": 24, "bands": 6, "low": 100.0, "high": 3900.0, "floor": 1e-3}


def reference_log_mel(waveform, rate, *, frame, hop, bands, low, high, floor):
    """By the definition: a sum for each Fourier coefficient, a straight line for each corner."""
    edges = [
        700 * (10 ** ((_mel(low) + (_mel(high) - _mel(low)) * part / (bands + 1)) / 2595)) - 700
        for part in range(bands + 2)
    ]
    angles = 2 * np.pi * np.outer(np.arange(frame // 2 + 1), np.arange(frame)) / frame
    hertz = np.arange(frame // 2 + 1) * (rate / frame)
    window = np.sin(np.pi * np.arange(frame) / frame) ** 2
    columns = []
    begin = 0
    while begin + frame <= len(waveform):
        part = np.float64(waveform[begin : begin + frame]) * window
        power = (np.cos(angles) @ part) ** 2 + (np.sin(angles) @ part) ** 2
        columns.append(
            [
                math.log(power @ np.interp(hertz, edges[b : b + 3], [0.0, 1.0, 0.0]) + floor)
                for b in range(bands)
            ]
        )
        begin += hop
    return np.array(columns).T


def _mel(hertz):
    return 2595 * math.log10(1 + hertz / 700)


@pytest.mark.parametrize("length", [64, 87, 88, 500])
def test_matches_the_definition(length):
    waveform = np.random.default_rng(0).normal(size=length)
    found = log_mel(waveform, 8000, **SETTINGS)
    expected = reference_log_mel(waveform, 8000, **SETTINGS)
    assert found.dtype == np.float32
    assert found.shape == (6, 1 + (length - 64) // 24)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)


def test_a_tone_is_loudest_in_the_band_around_it():
    filters = mel_filters(20, 512, 8000, 0.0, 4000.0)
    for band in (3, 10, 18):
        bin_ = int(filters[band].argmax())
        tone = np.cos(2 * np.pi * bin_ * np.arange(2048) / 512)
        found = log_mel(tone, 8000, frame=512, hop=256, bands=20, low=0.0, high=4000.0, floor=1e-9)
        assert (found.argmax(axis=0) == band).all()


def test_silence_is_the_floor():
    found = log_mel(np.zeros(64), 8000, **SETTINGS)
    np.testing.assert_allclose(found, math.log(1e-3), rtol=1e-6)


@pytest.mark.parametrize("waveform", [np.zeros(63), np.zeros((2, 64))])
def test_a_waveform_of_another_shape_is_refused(waveform):
    with pytest.raises(ValueError, match=r"waveform has shape .* T >= frame=64"):
        log_mel(waveform, 8000, **SETTINGS)


def test_bands_that_no_frequency_falls_into_are_refused():
    with pytest.raises(ValueError, match="bands is 60; band 2 would lie between"):
        log_mel(np.zeros(64), 8000, **(SETTINGS | {"bands": 60}))


@pytest.mark.parametrize(("low", "high"), [(-1.0, 100.0), (200.0, 200.0), (0.0, 4001.0)])
def test_frequencies_out_of_range_are_refused(low, high):
    with pytest.raises(ValueError, match=r"0 <= low < high <= 4000"):
        mel_filters(4, 64, 8000, low, high)
