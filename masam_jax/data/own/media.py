"""Columns of media: paths or contents of images, sound, video and arrays, decoded into memory."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from masam_jax.core.extras import needs
from masam_jax.data.array_files import parse_npy
from masam_jax.data.damaged_media import DamagedMedia, require_file
from masam_jax.data.modality import Modality, Normalization
from masam_jax.data.own.columns import Columns, as_objects, missing
from masam_jax.data.own.recipe import Ingredients
from masam_jax.data.own.samples import Samples, padded

# Bytes of decoded samples of a modality that memory is taken for.
_MOST_BYTES = 8 * 2**30
_THREADS = 4
_SIZE, _FRAMES, _FRAME_RATE = 64, 3, 1.0
_RATE, _SECONDS = 16000, 2.0
# Log-mel spectrograms: 25 ms windows every 10 ms.
_WINDOW_S, _HOP_S, _BANDS, _LOW_HZ, _FLOOR = 0.025, 0.010, 64, 60.0, 1e-6


def make_image(columns: Columns, group: Ingredients) -> Samples:
    """RGB images, resized to ``size`` × ``size``, 64 by default; paths, contents or arrays."""
    size = int(group.settings.get("size", _SIZE))

    def decode(value: Any, content: bytes | None) -> np.ndarray:
        from PIL import Image

        from masam_jax.data.transforms.image_augmentation import resize
        from masam_jax.data.transforms.image_file import opened_image

        if content is None:
            pixels = np.asarray(value, np.uint8)
            pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels
            pixels = np.asarray(Image.fromarray(pixels).convert("RGB"))
        else:
            with opened_image(content) as image:
                pixels = np.asarray(image.convert("RGB"))
        return resize(pixels, size)

    found = _decoded(columns, group, decode, Modality("image", (size, size, 3), np.uint8))
    return found._replace(settled={"size": size})


def make_audio(columns: Columns, group: Ingredients) -> Samples:
    """Log-mel spectrograms of the first ``seconds``, 2 by default, at ``rate``, 16 kHz.

    64 bands from 60 Hz to half the rate, fewer below 16 kHz, of 25 ms every 10 ms. Shorter sounds
    are repeated.
    """
    rate = int(group.settings.get("rate", _RATE))
    seconds = float(group.settings.get("seconds", _SECONDS))
    frame, hop = round(_WINDOW_S * rate), round(_HOP_S * rate)
    samples = max(frame, round(seconds * rate))
    # Each has to hold a frequency of the transform.
    bands = min(_BANDS, frame // 6)

    def decode(path: Any, content: bytes | None) -> np.ndarray:
        from masam_jax.data.transforms.audio_clip import fit_length, resample
        from masam_jax.data.transforms.log_mel import log_mel

        waveform, found = _sound(path, content)
        waveform = fit_length(resample(waveform, found, rate), samples)
        mel = log_mel(
            waveform,
            rate,
            frame=frame,
            hop=hop,
            bands=bands,
            low=_LOW_HZ,
            high=rate / 2,
            floor=_FLOOR,
        )
        return mel[..., np.newaxis]

    shape = (bands, 1 + (samples - frame) // hop, 1)
    spec = Modality("spectrogram", shape, np.float32, Normalization("scalar"))
    found = _decoded(columns, group, decode, spec)
    return found._replace(settled={"rate": rate, "seconds": seconds})


def make_video(columns: Columns, group: Ingredients) -> Samples:
    """``frames`` of the video, 3 by default, from as many equal parts, ``size`` pixels wide."""
    size = int(group.settings.get("size", _SIZE))
    frames = int(group.settings.get("frames", _FRAMES))

    def decode(path: Any, content: bytes | None) -> np.ndarray:
        from masam_jax.data.transforms.video_frames import prepare_frames, read_frames

        found = read_frames(Path(path), rate=_FRAME_RATE, limit=max(10, 4 * frames))
        return prepare_frames(found, frames, size, None)

    spec = Modality("frames", (frames, size, size, 3), np.uint8)
    found = _decoded(columns, group, decode, spec)
    return found._replace(settled={"frames": frames, "size": size})


def make_array(columns: Columns, group: Ingredients) -> Samples:
    """``.npy`` files: ``[D]`` vectors, ``[T, D]`` sequences of any length, ``[H, W, C]`` images."""
    (name,) = group.columns
    content, present = hashlib.sha256(), ~missing(columns[name])
    arrays: list[np.ndarray | None] = [None] * len(columns)
    for row in np.flatnonzero(present).tolist():
        path = _path(columns, columns[name][row])
        try:
            raw = _content(path)
            arrays[row] = parse_npy(raw)
        except (DamagedMedia, OSError, ValueError) as error:
            raise _bad(columns, row, name, error, path) from error
        content.update(hashlib.sha256(raw).digest())
    first = next((array for array in arrays if array is not None), None)
    if first is None:
        raise ValueError(f"{columns.named(name)}: no row has a file")
    if first.ndim == 2:
        length = group.settings.get("length")
        found = padded(columns, name, as_objects(arrays), length)
        return found._replace(content=content.hexdigest())
    kinds = {1: "vector", 3: "image", 4: "frames"}
    if first.ndim not in kinds:
        raise ValueError(
            f"{columns.at(int(np.argmax(present)), name)}: its shape is {list(first.shape)}; [D],"
            " [T, D], [H, W, C] and [T, H, W, C] are accepted"
        )
    stacked = np.zeros((len(arrays), *first.shape), first.dtype)
    for row, array in enumerate(arrays):
        if array is None:
            continue
        if array.shape != first.shape:
            raise ValueError(
                f"{columns.at(row, name)}: its shape is {list(array.shape)}, and the first one's"
                f" {list(first.shape)}; all must have one"
            )
        stacked[row] = array
    spec = Modality(kinds[first.ndim], first.shape, first.dtype)  # type: ignore[arg-type]
    return Samples(stacked, spec, present, content=content.hexdigest())


def _decoded(
    columns: Columns,
    group: Ingredients,
    decode: Callable[[Any, bytes | None], np.ndarray],
    spec: Modality,
) -> Samples:
    """Every row decoded; those without a path or content are missing."""
    with needs("columns of media", "data"):
        import PIL  # noqa: F401

    (name,) = group.columns
    values = columns[name]
    present = ~missing(values)
    needed = len(values) * math.prod(spec.shape) * np.dtype(spec.dtype).itemsize
    if needed > _MOST_BYTES:
        raise ValueError(
            f"{columns.named(name)}: decoded, {len(values):,} samples of"
            f" {' × '.join(map(str, spec.shape))} take {needed / 2**30:.1f} GiB, and at most"
            f" {_MOST_BYTES / 2**30:.0f} are kept in memory; a smaller size in dataset.toml, or"
            " features that were extracted before, need less"
        )
    features = np.zeros((len(values), *spec.shape), spec.dtype)

    def one(row: int) -> bytes:
        value = values[row]
        try:
            content = None
            if isinstance(value, str):
                value = _path(columns, value)
                content = _content(value)
            elif isinstance(value, bytes):
                content = value
            features[row] = decode(value, content)
        # Each decoder has its own kinds of error.
        except Exception as error:
            raise _bad(columns, row, name, error, value) from error
        return hashlib.sha256(np.asarray(value).tobytes() if content is None else content).digest()

    with ThreadPoolExecutor(_THREADS) as threads:
        digests = list(threads.map(one, np.flatnonzero(present).tolist()))
    content = hashlib.sha256(b"".join(digests)).hexdigest()
    return Samples(features, spec, present, content=content)


def _bad(columns: Columns, row: int, name: str, error: Exception, value: Any) -> ValueError:
    """The decoder's error as that of a row, and of its file, which it names once."""
    words = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    if isinstance(value, Path) and str(value) not in words:
        words = f"{value}: {words}"
    return ValueError(f"{columns.at(row, name)}: {words}")


def _path(columns: Columns, value: Any) -> Path:
    return columns.folder / Path(str(value)).expanduser()


def _content(path: Path) -> bytes:
    require_file(path, 2**31)
    return path.read_bytes()


def _sound(path: Any, content: bytes | None) -> tuple[np.ndarray, int]:
    from masam_jax.data.transforms.audio_clip import read_audio_track, read_wave

    if isinstance(path, Path):
        try:
            return read_wave(path)
        except DamagedMedia:
            # What libsndfile does not read, FFmpeg may.
            return read_audio_track(path)
    import soundfile

    samples, rate = soundfile.read(io.BytesIO(content or b""), dtype="float32", always_2d=True)
    if not len(samples):
        raise ValueError("it holds no sound")
    return samples.mean(axis=1), int(rate)
