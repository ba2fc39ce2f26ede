"""A tiny Kinetics-Sounds: clips in a folder per class, lists in the OGM-GE release's format."""

from pathlib import Path

import numpy as np

from tests.data.builders.video_files import tone, write_video

CLASSES = {"playing_accordion": 7, "singing": 25, "tap dancing": 27}
RATE = 16000
COLOURS = [(200, 60, 40), (40, 180, 60), (40, 60, 200)]


def clip_name(number: int) -> str:
    """As Kinetics names clips."""
    return f"vid{number:08d}_000012_000022"


def sound(number: int, seconds: float) -> np.ndarray:
    """What is heard in a clip: a tone of 300 Hz and more, by class."""
    return tone(300.0 + 300.0 * (number % len(CLASSES)), seconds, RATE)


def make_source(
    directory: Path,
    *,
    train: int = 24,
    test: int = 8,
    validation: int = 0,
    seconds: float = 2.3,
    size: tuple[int, int] = (48, 64),
) -> None:
    """Clips, ``train.txt``, ``test.txt`` and, if there are such clips, ``val.txt``.

    Every fourth clip has no audio track, but a WAV file beside it. The validation list names clips
    by path, the others as the release does, the test list with times that are not padded.
    """
    import soundfile

    lines: dict[str, list[str]] = {"train": [], "test": [], "val": []}
    parts = ["train"] * train + ["test"] * test + ["val"] * validation
    for number, part in enumerate(parts):
        folder, label = list(CLASSES.items())[number % len(CLASSES)]
        name = clip_name(number)
        path = directory / folder / f"{name}.mp4"
        heard = sound(number, seconds)
        beside = number % 4 == 3
        write_video(
            path,
            codec="mpeg4",
            colours=COLOURS[number % 3 :] + COLOURS[: number % 3],
            seconds=seconds,
            size=size,
            sound=None if beside else heard,
            rate=RATE,
        )
        if beside:
            soundfile.write(path.with_suffix(".wav"), heard, RATE, subtype="PCM_16")
        listed = {
            "train": f"{name},10,{label}",
            "test": f"{name.split('_')[0]}_12,10,{label}",
            "val": f"{folder.replace(' ', '_')}/{name}.mp4",
        }
        lines[part].append(listed[part])
    for part, found in lines.items():
        if found:
            (directory / f"{part}.txt").write_text("".join(f"{line}\r\n" for line in found))
