r"""Log-mel spectrograms of short recordings.

A frame of n samples is windowed by a periodic Hann window, $w_i = \frac12 (1 - \cos(2\pi i /
n))$, and transformed; its power spectrum is $P_k = |\sum_i w_i x_i e^{-2\pi \mathrm i k i /
n}|^2$. Band b sums $P_k$ with a triangle of height 1 whose corners are the frequencies b, b +
1 and b + 2 of ``bands + 2`` ones that are equally far apart in HTK's mel scale, $m(f) = 2595
\log_{10}(1 + f / 700)$. Frames begin every ``hop`` samples and lie wholly within the recording:
nothing is padded. The result is the natural logarithm of band powers plus a floor.
"""

from __future__ import annotations

import functools

import numpy as np


def log_mel(
    waveform: np.ndarray,
    rate: int,
    *,
    frame: int,
    hop: int,
    bands: int,
    low: float,
    high: float,
    floor: float,
) -> np.ndarray:
    """The log-mel spectrogram of a recording.

    Args:
      waveform: real ``[T]``, full scale at 1; T at least ``frame``.
      rate: samples a second.
      frame: samples a frame, n.
      hop: samples from a frame's begin to the next one's.
      bands: number of mel bands.
      low: lower corner of the first band, in Hz.
      high: upper corner of the last band, in Hz.
      floor: added to powers before the logarithm; positive.

    Returns:
      float32 ``[bands, 1 + (T - frame) // hop]``, low bands first.

    Raises:
      ValueError: the waveform is no vector of a frame's length, or a band holds no frequency.

    References:
      Young et al. The HTK Book, section 5.4 (mel scale and triangular filters).
    """
    if np.ndim(waveform) != 1 or len(waveform) < frame:
        raise ValueError(
            f"a waveform has shape {np.shape(waveform)}; [T] with T >= frame={frame} is needed."
        )
    frames = np.lib.stride_tricks.sliding_window_view(np.asarray(waveform, np.float64), frame)[
        ::hop
    ]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(frame) / frame)
    power = np.abs(np.fft.rfft(frames * window, axis=-1)) ** 2
    energies = power @ mel_filters(bands, frame, rate, low, high).T
    return np.log(energies + floor).T.astype(np.float32)


@functools.lru_cache(maxsize=8)
def mel_filters(bands: int, frame: int, rate: int, low: float, high: float) -> np.ndarray:
    """Weights of the frequencies in each band, float64 ``[bands, frame // 2 + 1]``, read-only.

    Raises:
      ValueError: frequencies that are not ``0 <= low < high <= rate / 2``, or so many bands that
        one of them lies between two frequencies of the transform and would be empty.
    """
    if not 0 <= low < high <= rate / 2:
        raise ValueError(
            f"low and high are {low} and {high} Hz; 0 <= low < high <= {rate / 2:g}, half the rate,"
            " is needed."
        )
    corners = _from_mel(np.linspace(_to_mel(low), _to_mel(high), bands + 2))
    frequencies = np.arange(frame // 2 + 1) * rate / frame
    left, centre, right = (corners[part : part + bands, np.newaxis] for part in range(3))
    rising = (frequencies - left) / (centre - left)
    falling = (right - frequencies) / (right - centre)
    weights = np.maximum(0, np.minimum(rising, falling))
    empty = np.flatnonzero(weights.sum(1) == 0)
    if len(empty):
        raise ValueError(
            f"bands is {bands}; band {empty[0]} would lie between two of the transform's"
            f" frequencies, {rate / frame:.4g} Hz apart. Fewer bands or longer frames are needed."
        )
    weights.setflags(write=False)
    return weights


def _to_mel(frequency: float) -> float:
    return float(2595 * np.log10(1 + frequency / 700))


def _from_mel(mel: np.ndarray) -> np.ndarray:
    return 700 * (10 ** (mel / 2595) - 1)
