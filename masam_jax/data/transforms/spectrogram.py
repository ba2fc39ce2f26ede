"""Logarithm of the short-time Fourier transform."""

from __future__ import annotations

import numpy as np


def log_spectrogram(
    waveform: np.ndarray, *, window: int = 512, hop: int = 353, floor: float = 1e-7
) -> np.ndarray:
    """Magnitudes of the short-time Fourier transform, ``log(|X| + floor)``.

        X[k, t] = sum_n hann[n] x[t * hop + n - window / 2] exp(-2 pi i k n / window)

    The window is the periodic Hann window, ``(1 - cos(2 pi n / window)) / 2``, and x is zero
    outside the waveform: what librosa's ``stft`` computes since 0.9.

    Args:
      waveform: float32 ``[N]``.
      window: length of window and transform, in samples, even.
      hop: samples between windows.
      floor: added to the magnitudes.

    Returns:
      float32 ``[window / 2 + 1, N // hop + 1]``.
    """
    hann = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)).astype(np.float32)
    padded = np.pad(waveform.astype(np.float32), window // 2)
    windows = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    magnitudes = np.abs(np.fft.rfft(windows * hann, axis=1))
    return np.log(magnitudes.T + np.float32(floor))
