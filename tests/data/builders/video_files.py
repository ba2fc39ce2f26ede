"""Small real video files for the fixtures."""

from fractions import Fraction
from pathlib import Path

import numpy as np

FPS = 10


def tone(frequency: float, seconds: float, rate: int) -> np.ndarray:
    """A sine of amplitude 0.5, float32 ``[N]``."""
    times = np.arange(round(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * frequency * times)).astype(np.float32)


def write_video(
    path: Path,
    *,
    codec: str,
    colours: list[tuple[int, int, int]],
    seconds: float,
    size: tuple[int, int] = (48, 64),
    sound: np.ndarray | None = None,
    rate: int = 16000,
    sound_codec: str = "aac",
) -> None:
    """A video of plain colours, one for each second begun (the last one stays).

    Args:
      path: its ending chooses the container.
      codec: FFmpeg's name, such as "flv" or "mpeg4".
      colours: RGB.
      seconds: how long.
      size: height and width.
      sound: float32 ``[N]`` or ``[channels, N]``, if there shall be an audio track.
      rate: samples per second of the sound.
      sound_codec: FFmpeg's name.
    """
    import av

    height, width = size
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=FPS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.bit_rate = 2_000_000
        # The same bytes for the same arguments, on any number of cores.
        stream.codec_context.thread_count = 1
        track = None
        if sound is not None:
            channels = np.atleast_2d(sound)
            layout = "mono" if len(channels) == 1 else "stereo"
            track = container.add_stream(sound_codec, rate=rate, layout=layout)
        for number in range(round(seconds * FPS)):
            colour = colours[min(number // FPS, len(colours) - 1)]
            picture = np.full((height, width, 3), colour, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if track is not None:
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(channels), format="fltp", layout=layout
            )
            frame.sample_rate, frame.pts = rate, 0
            frame.time_base = Fraction(1, rate)
            container.mux(track.encode(frame))
            container.mux(track.encode(None))
