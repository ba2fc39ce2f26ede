"""Still frames of a video file."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from masam_jax.data.damaged_media import DamagedMedia, damaged, require_file
from masam_jax.data.draws import Draws
from masam_jax.data.transforms.image_augmentation import (
    horizontal_flip,
    random_box,
    random_resized_crop,
    resize,
    resize_shorter,
    resized_crop,
)
from masam_jax.data.transforms.image_file import image_bytes, opened_image
from masam_jax.data.transforms.media_container import open_media

Pick = Literal["segments", "any"]
Crop = Literal["clip", "frame"]

# Of frames that were extracted before.
_FRAME_ENDINGS = (".jpg", ".jpeg", ".png")

# Containers round times, FLV to a millisecond.
_ROUNDING_S = 1e-3
# Of a frame; one of 8K has 33 million.
_MOST_PIXELS, _MOST_RATIO = 2**25, 50


def read_frames(path: Path, *, rate: float = 1.0, limit: int = 10) -> list[np.ndarray]:
    """Frames of the first video track at a fixed rate.

    Frame k is the first one shown ``k / rate`` seconds after the first frame, or later.

    Args:
      path: whatever FFmpeg reads.
      rate: frames per second.
      limit: most frames; the rest of the file is not read.

    Returns:
      uint8 ``[H, W, 3]``, RGB, at least one.

    Raises:
      DamagedMedia: the file is missing or damaged, has no video, or its frames have more than 32
        million pixels, or sides of which one is 50 times the other.
    """
    require_file(path)
    frames: list[np.ndarray] = []
    start = None
    try:
        with open_media(path) as container:
            if not container.streams.video:
                raise DamagedMedia(f"{path}: it has no video track.")
            track = container.streams.video[0]
            if track.width and track.height:
                _check_size(path, track.width, track.height)
            for number, frame in enumerate(container.decode(video=0)):
                time = frame.time
                if time is None:
                    time = number / float(track.average_rate or 25)
                start = time if start is None else start
                if time - start < len(frames) / rate - _ROUNDING_S:
                    continue
                _check_size(path, frame.width, frame.height)
                if frame.is_corrupt:
                    raise DamagedMedia(f"{path}: its frame at {time:.2f} s is damaged.")
                frames.append(frame.to_ndarray(format="rgb24"))
                if len(frames) == limit:
                    break
    except DamagedMedia:
        raise
    # FFmpeg's errors, and PyAV's of a track without a codec.
    except Exception as error:
        raise damaged(path, error) from error
    if not frames:
        raise DamagedMedia(f"{path}: it holds no frame.")
    return frames


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > _MOST_PIXELS or max(width, height) > _MOST_RATIO * min(width, height):
        raise DamagedMedia(f"{path}: it says that its frames have {width} x {height} pixels.")


def jpeg_bytes(image: np.ndarray, *, shorter: int = 256, quality: int = 95) -> bytes:
    """A frame as JPEG.

    Args:
      image: uint8 ``[H, W, 3]``.
      shorter: most pixels of the shorter side; a larger image is made smaller.
      quality: of the JPEG, 0 to 95.
    """
    from PIL import Image

    if min(image.shape[:2]) > shorter:
        image = resize_shorter(image, shorter)
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return file.getvalue()


def choose_frames(count: int, wanted: int, draws: Draws | None) -> list[int]:
    """One frame of each of ``wanted`` equal segments of a clip, in order.

    Segment i begins at frame ``floor(i * count / wanted)`` and ends where the next begins. With
    fewer frames than segments, a segment that would be empty has the one frame that it begins at,
    and frames come more than once.

    Args:
      count: frames there are, at least 1.
      wanted: frames to take, at least 1.
      draws: takes any frame of a segment, one number each; None takes the middle one, the earlier
        of two.
    """
    bounds = [index * count // wanted for index in range(wanted + 1)]
    chosen = []
    for begin, end in itertools.pairwise(bounds):
        size = max(end - begin, 1)
        chosen.append(begin + ((size - 1) // 2 if draws is None else draws.integer(size)))
    return chosen


def draw_frames(count: int, wanted: int, draws: Draws | None) -> list[int]:
    """Different frames of a whole clip, any with the same chance, in order.

    Args:
      count: frames there are, at least 1.
      wanted: frames to take, at least 1; with fewer frames than that, they are those that
        `choose_frames` takes, some of them more than once.
      draws: one number is taken for each frame; None takes the middle ones of equal segments.
    """
    if draws is None or count < wanted:
        return choose_frames(count, wanted, None)
    left = list(range(count))
    return sorted(left.pop(draws.integer(len(left))) for _ in range(wanted))


def prepare_frames(
    frames: Sequence[np.ndarray] | np.ndarray,
    wanted: int,
    size: int,
    draws: Draws | None,
    *,
    pick: Pick = "segments",
    crop: Crop = "clip",
) -> np.ndarray:
    """What a network sees of a clip.

    With draws: frames, random parts of them (`random_box`), flipped with chance 1/2. Without: the
    middle frame of each of ``wanted`` segments, the whole image made square.

    Args:
      frames: F >= 1 of them, each uint8 ``[H, W, 3]``; only those that are chosen are looked at.
      wanted: number of frames.
      size: side of the result.
      draws: for augmentation; None for none.
      pick: frames that draws take: ``"any"`` of the clip (`draw_frames`), or one of each of equal
        ``"segments"`` (`choose_frames`).
      crop: whether one part is drawn for all frames of the ``"clip"``, which are flipped together,
        or one for each ``"frame"``.

    Returns:
      uint8 ``[wanted, size, size, 3]``.
    """
    choose = draw_frames if pick == "any" else choose_frames
    chosen = [np.asarray(frames[index]) for index in choose(len(frames), wanted, draws)]
    if draws is None:
        return np.stack([resize(frame, size) for frame in chosen])
    if crop == "frame":
        drawn = [random_resized_crop(frame, size, draws) for frame in chosen]
        return np.stack([horizontal_flip(frame, draws) for frame in drawn])
    height, width = chosen[0].shape[:2]
    box = random_box(height, width, draws)
    return horizontal_flip(np.stack([resized_crop(frame, box, size) for frame in chosen]), draws)


def read_frame_folder(folder: Path, *, limit: int = 10) -> list[np.ndarray]:
    """Frames that were extracted before, one image file each, in the order of their names.

    Args:
      folder: of JPEG or PNG files; others are ignored.
      limit: most frames.

    Returns:
      uint8 ``[H, W, 3]``, RGB, at least one.

    Raises:
      DamagedMedia: there is no image, or one is damaged.
    """
    frames = []
    names = [path for path in folder.iterdir() if path.suffix.lower() in _FRAME_ENDINGS]
    # Names may count without padding: frame_2 comes before frame_10.
    for path in sorted(names, key=lambda path: (_numbers(path.stem), path.name))[:limit]:
        try:
            with opened_image(image_bytes(path)) as image:
                frames.append(np.asarray(image.convert("RGB")))
        except DamagedMedia:
            raise
        except Exception as error:
            # Each of Pillow's decoders has its own kinds of error.
            raise damaged(path, error) from error
    if not frames:
        raise DamagedMedia(f"{folder}: it holds no frame ({', '.join(_FRAME_ENDINGS)}).")
    return frames


def _numbers(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", name)]
