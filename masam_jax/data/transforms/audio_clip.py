"""Sound of a file as a waveform, at one rate and length."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np

from masam_jax.data.damaged_media import DamagedMedia, damaged, require_file
from masam_jax.data.transforms.media_container import open_media

_FULL_SCALE = 32768.0
_RATES = (1_000, 400_000)
_MOST_SAMPLES = 2**27


def read_wave(path: Path) -> tuple[np.ndarray, int]:
    """A sound file, its channels averaged.

    Args:
      path: WAV, FLAC or whatever else libsndfile reads.

    Returns:
      float32 ``[N]``, of 16-bit samples in [-1, 1), and samples per second.

    Raises:
      DamagedMedia: the file is missing, damaged, without samples, or beyond the bounds here: 128
        million samples, and rates from 1 to 400 kHz.
    """
    import soundfile

    require_file(path)
    try:
        with soundfile.SoundFile(path) as file:
            # Room is made for what the header says.
            rate = file.samplerate
            _check_sound(path, rate, file.frames * file.channels)
            samples = file.read(dtype="float32", always_2d=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise damaged(path, error) from error
    return _mono(samples.T, path), rate


def read_audio_track(path: Path) -> tuple[np.ndarray, int]:
    """The first audio track of a video file, its channels averaged.

    Args:
      path: whatever FFmpeg reads.

    Returns:
      float32 ``[N]``, and samples per second.

    Raises:
      DamagedMedia: the file is missing or damaged, has no audio, or it is beyond the same bounds.
    """
    import av

    require_file(path)
    parts: list[np.ndarray] = []
    held = 0
    try:
        with open_media(path) as container:
            if not container.streams.audio:
                raise DamagedMedia(f"{path}: it has no audio track.")
            rate = int(container.streams.audio[0].rate or 0)
            _check_sound(path, rate, 0)
            # Packed: of planes, PyAV reads beyond the end of eight or more, and the process ends.
            packed = av.AudioResampler(format="flt")
            for frame in itertools.chain(container.decode(audio=0), [None]):
                if frame is None and not parts:
                    break
                for part in packed.resample(frame):
                    count = part.layout.nb_channels
                    parts.append(np.ascontiguousarray(part.to_ndarray().reshape(-1, count).T))
                    held += part.samples * count
                _check_sound(path, rate, held)
    except DamagedMedia:
        raise
    # FFmpeg's errors, and PyAV's of a track without a codec.
    except Exception as error:
        raise damaged(path, error) from error
    channels = np.concatenate(parts, axis=1) if parts else np.zeros((1, 0), np.float32)
    return _mono(channels, path), rate


def resample(waveform: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """A waveform at another rate, by SciPy's polyphase filter (a Kaiser window, beta 5).

    Args:
      waveform: float32 ``[N]``.
      rate: its samples per second.
      new_rate: those wanted.

    Returns:
      float32 ``[ceil(N * new_rate / rate)]``.
    """
    if rate == new_rate:
        return waveform
    from scipy.signal import resample_poly

    common = math.gcd(rate, new_rate)
    return resample_poly(waveform, new_rate // common, rate // common).astype(np.float32)


def as_int16(waveform: np.ndarray) -> np.ndarray:
    """A waveform in 16 bits, a sample of 1 being 32768; beyond that it is clipped."""
    return np.clip(np.rint(waveform * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE - 1).astype(np.int16)


def as_float(samples: np.ndarray) -> np.ndarray:
    """The waveform that `as_int16` stored, float32 in [-1, 1)."""
    return samples.astype(np.float32) / np.float32(_FULL_SCALE)


def fit_length(waveform: np.ndarray, length: int) -> np.ndarray:
    """A waveform repeated until it is long enough, then cut.

    Args:
      waveform: ``[N]``, N >= 1.
      length: number of samples.

    Returns:
      ``[length]``, sample i being that of ``i mod N``.
    """
    return np.resize(waveform, length)


def _check_sound(path: Path, rate: int, samples: int) -> None:
    """Refuses what no recording has; resampling takes memory by the rates."""
    if not _RATES[0] <= rate <= _RATES[1]:
        raise DamagedMedia(f"{path}: it says that it has {rate} samples a second.")
    if samples > _MOST_SAMPLES:
        raise DamagedMedia(f"{path}: it has {samples} samples; at most {_MOST_SAMPLES} are read.")


def _mono(channels: np.ndarray, path: Path) -> np.ndarray:
    if not channels.shape[1]:
        raise DamagedMedia(f"{path}: it holds no sound.")
    if not np.isfinite(channels).all():
        raise DamagedMedia(f"{path}: some of its samples are not finite.")
    return channels.mean(axis=0)
