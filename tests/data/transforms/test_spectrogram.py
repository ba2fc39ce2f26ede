import numpy as np
import pytest

from masam_jax.data.transforms.spectrogram import log_spectrogram


def reference(waveform, window, hop, floor):
    """The definition, term by term."""
    waveform = np.asarray(waveform, np.float64)
    n = np.arange(window)
    hann = np.sin(np.pi * n / window) ** 2
    rows = []
    for k in range(window // 2 + 1):
        row = []
        for t in range(len(waveform) // hop + 1):
            places = t * hop + n - window // 2
            inside = (places >= 0) & (places < len(waveform))
            values = np.where(inside, waveform[np.clip(places, 0, len(waveform) - 1)], 0.0)
            row.append(np.sum(hann * values * np.exp(-2j * np.pi * k * n / window)))
        rows.append(row)
    return np.log(np.abs(rows) + floor)


@pytest.mark.parametrize("window,hop,length", [(16, 5, 43), (32, 32, 64), (8, 3, 5)])
def test_it_is_the_definition(window, hop, length):
    waveform = np.random.default_rng(0).normal(size=length).astype(np.float32)
    found = log_spectrogram(waveform, window=window, hop=hop, floor=1e-3)
    np.testing.assert_allclose(found, reference(waveform, window, hop, 1e-3), atol=2e-4)


def test_the_published_shape():
    found = log_spectrogram(np.zeros(66150, np.float32))
    assert found.shape == (257, 188)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.log(1e-7), rtol=1e-6)
