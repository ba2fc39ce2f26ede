"""Where clips of Kinetics-400 are, and what its annotations say of them."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

ENDINGS = (".mp4", ".avi", ".mkv", ".webm")
"""Of clips."""

# What a clip is called: YouTube's name of the video, and where in it the clip begins (and ends).
_CLIP_NAME = re.compile(r"(?P<video>.{11})_(?P<begin>\d+)(_\d+)?")
_FOLDERS = ("train", "val", "test")
# Archives of clips that were damaged in the others.
_REPLACED = Path("replacement/replacement_for_corrupted_k400")
# Of frames that were extracted before, and of the sound beside them.
_FRAMES = ("Image-01-FPS", "visual/train_imgs/Image-01-FPS", "visual/test_imgs/Image-01-FPS")
_SOUNDS = ("audio", "audio/train", "audio/test")
_ANNOTATIONS = {"train": "train", "validation": "val", "test": "test"}
_COLUMNS = ("label", "youtube_id", "time_start", "time_end")


class Clips:
    """Finds clips: in a folder for each class, or flat, as Kinetics-400 extracts.

    A clip is a video, or a folder of the frames that were extracted from it.
    """

    def __init__(self, source: Path, class_names: Sequence[str]) -> None:
        """Of a directory.

        Args:
          source: the directory.
          class_names: with spaces.

        Raises:
          ValueError: there is neither a folder of a class nor a folder with clips.
        """
        places = [source, *(source / name for name in (*_FOLDERS, *_FRAMES))]
        self._sounds = [source / name for name in _SOUNDS]
        self._folders = [
            [place / spelling for place in places for spelling in (name.replace(" ", "_"), name)]
            for name in class_names
        ]
        self._expected = [folders[0] for folders in self._folders]
        self._flat = [
            place for place in (source / _REPLACED, *places) if place.is_dir() and _has_clip(place)
        ]
        found = [[folder for folder in folders if folder.is_dir()] for folders in self._folders]
        if not any(found) and not self._flat:
            raise ValueError(
                f"{source} has no folder of a class, such as {source / 'playing_accordion'}, and no"
                f" clips in {', '.join(_FOLDERS)}."
            )
        self._folders = found

    def expected(self, label: int) -> Path:
        """The folder of a class, as instructions name it."""
        return self._flat[0] if self._flat and not any(self._folders) else self._expected[label]

    def find(self, name: str, label: int) -> Path:
        """Where a clip is, or where it was looked for first.

        Args:
          name: without its ending.
          label: its class.
        """
        folders = [*self._folders[label], *self._flat] or [self._expected[label]]
        names = [name]
        match = _CLIP_NAME.fullmatch(name)
        if match:
            # Kinetics pads times to six digits, the released test list does not.
            names.append(clip_name(match["video"], int(match["begin"]), int(match["begin"]) + 10))
        files = [f"{spelling}{ending}" for spelling in names for ending in ENDINGS]
        tried = [folder / file for folder in folders for file in files]
        clip = next((path for path in tried if path.is_file()), None)
        if clip is None:
            frames = (folder / spelling for folder in folders for spelling in (*names, *files))
            clip = next((path for path in frames if path.is_dir()), tried[0])
        return clip

    def sound(self, clip: Path, label: int) -> Path:
        """The WAV file of a clip, beside it or in a folder of sounds; or the clip, a video, itself.

        Args:
          clip: of `find`.
          label: its class.
        """
        name = clip.name if clip.is_dir() else clip.stem
        name = f"{without_ending(name)}.wav"
        kinds = sorted({folder.name for folder in self._folders[label]})
        places = [clip.parent, *(place / kind for place in self._sounds for kind in (*kinds, ""))]
        waves = [place / name for place in places]
        return next((path for path in waves if path.is_file()), waves[0] if clip.is_dir() else clip)


def without_ending(name: str) -> str:
    """A clip's name, of its file's."""
    ending = Path(name).suffix
    return name.removesuffix(ending) if ending in ENDINGS else name


def clip_name(video: str, begin: int, end: int) -> str:
    """What Kinetics-400 calls a clip, without its ending."""
    return f"{video}_{begin:06d}_{end:06d}"


def video_of(name: str) -> str:
    """YouTube's name of a clip's video."""
    match = _CLIP_NAME.fullmatch(name)
    return match["video"] if match else name


def find_annotations(source: Path) -> dict[str, Path]:
    """Split -> Kinetics-400's table of it; empty if it has none to train or to test on.

    Raises:
      ValueError: there are two of one split.
    """
    found: dict[str, Path] = {}
    for split, name in _ANNOTATIONS.items():
        tables = [
            path
            for place in (source, source / "annotations")
            for path in sorted(place.glob(f"*{name}.csv"))
        ]
        if len(tables) > 1:
            both = " and ".join(path.relative_to(source).as_posix() for path in tables)
            raise ValueError(f"{source} has both {both}; one must go.")
        if tables:
            found[split] = tables[0]
    return found if {"train", "test"} <= set(found) else {}


def read_annotations(path: Path, class_names: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Name and number of the class of each clip of those classes; all others are skipped.

    Args:
      path: a table with the columns label, youtube_id, time_start and time_end.
      class_names: those wanted, with spaces.

    Raises:
      ValueError: the table is not as expected.
    """
    numbers = {name: number for number, name in enumerate(class_names)}
    with path.open(encoding="utf-8-sig", newline="") as file:
        table = csv.DictReader(file)
        lacking = [name for name in _COLUMNS if name not in (table.fieldnames or ())]
        if lacking:
            raise ValueError(f"{path}, line 1: there is no column {lacking[0]!r}.")
        for row in table:
            label = numbers.get((row["label"] or "").replace("_", " "))
            if label is None:
                continue
            try:
                begin, end = int(row["time_start"]), int(row["time_end"])
            except (TypeError, ValueError):
                raise ValueError(
                    f"{path}, line {table.line_num}: time_start and time_end are"
                    f" {row['time_start']!r} and {row['time_end']!r}; whole seconds are needed."
                ) from None
            yield clip_name(row["youtube_id"], begin, end), label


def _has_clip(place: Path) -> bool:
    """Whether there is a video, or a folder that is named as a clip."""
    return any(
        path.suffix in ENDINGS or (_CLIP_NAME.fullmatch(path.name) and path.is_dir())
        for path in place.iterdir()
    )
