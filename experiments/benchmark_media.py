"""Sound and film of full size for the benchmark of the input pipeline, laid out as CREMA-D."""

from fractions import Fraction
from pathlib import Path

import numpy as np

from masam_jax.data.builders.crema_d import CremaD

CODES = CremaD.CODES
SOUND_RATE = 16_000
"""Samples per second of the WAV files, as in the release."""
FRAME_RATE = 30
"""Frames per second of the FLV files, about as in the release (29.97)."""
FRAME_SIZE = (360, 480)
"""Height and width of a frame, as in the release."""
SECONDS = 2.5
"""How long a clip is; the release's mean is 2.54 s."""

# Pixels between the numbers that a picture is drawn through, and how much each scale counts.
_SCALES = {96: 60.0, 32: 30.0, 8: 12.0, 2: 5.0}
# Pixels that the picture moves from frame to frame.
_SPEED = 2


def make_media(
    directory: Path,
    *,
    train: int,
    test: int,
    seconds: float = SECONDS,
    frame_size: tuple[int, int] = FRAME_SIZE,
) -> None:
    """Writes ``AudioWAV/*.wav``, ``VideoFlash/*.flv`` and the lists ``train.csv``, ``test.csv``.

    A clip is noise of falling spectrum, and a cloudy picture with grain that drifts: about as hard
    to decode as what a camera films. The files of a number are always the same.

    Args:
      directory: made when missing.
      train: clips in train.
      test: clips in test.
      seconds: how long each is.
      frame_size: height and width of the film.
    """
    names = [f"{1001 + i}_DFA_{CODES[i % len(CODES)]}_XX" for i in range(train + test)]
    for folder in ("AudioWAV", "VideoFlash"):
        (directory / folder).mkdir(parents=True)
    for number, name in enumerate(names):
        generator = np.random.default_rng(number)
        _write_sound(directory / "AudioWAV" / f"{name}.wav", seconds, generator)
        _write_film(directory / "VideoFlash" / f"{name}.flv", seconds, frame_size, generator)
    for split, part in (("train", names[:train]), ("test", names[train:])):
        lines = [f"{name},{name.split('_')[2]}\n" for name in part]
        (directory / f"{split}.csv").write_text("".join(lines), encoding="utf-8")


def _write_sound(path: Path, seconds: float, generator: np.random.Generator) -> None:
    import soundfile

    walk = np.cumsum(generator.standard_normal(round(seconds * SOUND_RATE)))
    walk -= walk.mean()
    soundfile.write(path, 0.5 * walk / np.abs(walk).max(), SOUND_RATE, subtype="PCM_16")


def _write_film(
    path: Path, seconds: float, frame_size: tuple[int, int], generator: np.random.Generator
) -> None:
    import av

    height, width = frame_size
    frames = round(seconds * FRAME_RATE)
    picture = _picture(height, width + _SPEED * frames, generator)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("flv", rate=FRAME_RATE)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.bit_rate = 1_000_000
        # The same bytes on any number of cores.
        stream.codec_context.thread_count = 1
        for number in range(frames):
            left = _SPEED * number
            part = np.ascontiguousarray(picture[:, left : left + width])
            frame = av.VideoFrame.from_ndarray(part, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FRAME_RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _picture(height: int, width: int, generator: np.random.Generator) -> np.ndarray:
    """Clouds of every scale, uint8 ``[height, width, 3]``."""
    from PIL import Image

    total = np.full((height, width, 3), 128.0, np.float32)
    for pixels, strength in _SCALES.items():
        coarse = generator.random((height // pixels + 2, width // pixels + 2, 3), np.float32)
        for colour in range(3):
            drawn = Image.fromarray(coarse[..., colour]).resize(
                (width, height), Image.Resampling.BICUBIC
            )
            total[..., colour] += strength * (2.0 * np.asarray(drawn) - 1.0)
    return np.clip(total, 0, 255).astype(np.uint8)
