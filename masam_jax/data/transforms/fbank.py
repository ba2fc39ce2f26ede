"""Kaldi's logarithmic mel filterbank."""

from __future__ import annotations

import functools

import numpy as np

_FRAME_MS, _SHIFT_MS = 25.0, 10.0
_LOWEST_HZ = 20.0


def filterbank(
    waveform: np.ndarray, *, rate: int = 22050, bins: int = 128, highest: float = 8000.0
) -> np.ndarray:
    """Log energies of mel filters, by kaldi-native-fbank.

    Frames of 25 ms every 10 ms (whole samples, rounded down), all inside the waveform; of each the
    mean is subtracted, pre-emphasis 0.97, a symmetric Hann window, the power spectrum of the next
    power of two, triangular filters equally spaced in mel from 20 Hz up, the logarithm of their
    energies with 1.19e-7 as the least. No dither. The waveform's mean is subtracted first.

    Why 22,050 samples per second: at 16,000, a frame has 512 frequencies 31.25 Hz apart, and the
    lowest of 128 filters are narrower than that. torchaudio leaves those filters empty (each frame
    has the least value there), kaldi-native-fbank refuses them. At 22,050 a frame has 1,024
    frequencies 21.5 Hz apart and no filter is empty, while filters that end at 8,000 Hz are the
    same as those of a waveform of 16,000 samples per second.

    Args:
      waveform: float32 ``[N]`` in [-1, 1], of at least one frame.
      rate: samples per second.
      bins: number of filters.
      highest: upper end of the last filter, in Hz.

    Returns:
      float32 ``[1 + (N - frame) // shift, bins]``.

    Raises:
      ValueError: the waveform is shorter than a frame, or a filter would be empty.
    """
    import kaldi_native_fbank

    extractor = kaldi_native_fbank.OnlineFbank(_options(rate, bins, highest))
    extractor.accept_waveform(rate, waveform - waveform.mean(dtype=np.float64).astype(np.float32))
    extractor.input_finished()
    count = extractor.num_frames_ready
    if not count:
        raise ValueError(f"the waveform has {len(waveform)} samples; a frame needs more.")
    return np.stack([extractor.get_frame(index) for index in range(count)])


def samples_of_frames(frames: int, *, rate: int = 22050) -> int:
    """How many samples that many frames of `filterbank` take."""
    return (frames - 1) * int(rate * _SHIFT_MS / 1000) + int(rate * _FRAME_MS / 1000)


def fit_frames(features: np.ndarray, frames: int) -> np.ndarray:
    """Features cut to that many frames, or followed by zeros.

    Args:
      features: ``[T, bins]``.
      frames: number of frames.

    Returns:
      ``[frames, bins]``.
    """
    features = features[:frames]
    return np.pad(features, ((0, frames - len(features)), (0, 0)))


@functools.cache
def _options(rate: int, bins: int, highest: float) -> object:
    from kaldi_native_fbank import FbankOptions

    options = FbankOptions()
    options.frame_opts.samp_freq = rate
    options.frame_opts.frame_length_ms = _FRAME_MS
    options.frame_opts.frame_shift_ms = _SHIFT_MS
    options.frame_opts.dither = 0.0
    options.frame_opts.window_type = "hanning"
    options.mel_opts.num_bins = bins
    options.mel_opts.low_freq = _LOWEST_HZ
    options.mel_opts.high_freq = highest
    options.use_energy = False
    return options
