"""Kinetics-Sounds: actions from sound and video."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from masam_jax.core.specs import Options, option
from masam_jax.data.builders.base import PublishedBuilder
from masam_jax.data.builders.kinetics_clips import (
    Clips,
    find_annotations,
    read_annotations,
    video_of,
    without_ending,
)
from masam_jax.data.builders.source import Listing, Record, file_digest
from masam_jax.data.builders.tfds import tfds
from masam_jax.data.damaged_media import DamagedMedia
from masam_jax.data.draws import Draws
from masam_jax.data.modality import IMAGENET, Modality, Normalization
from masam_jax.data.transforms import audio_clip, fbank, video_frames

_RATE = 22050
_FBANK_FRAMES = 1024
_MOST_FRAMES = 10
_PUBLISHED_COUNTS = {"train": 14799, "validation": 0, "test": 2597}
_LISTS = {
    "train": ("train.txt", "my_train.txt"),
    "validation": ("val.txt",),
    "test": ("test.txt", "my_test.txt"),
}


@dataclasses.dataclass(frozen=True)
class KineticsSoundsOptions(Options):
    """Variants of Kinetics-Sounds.

    Attributes:
      frames: of the video, 1 to 10.
      pick: frames in training, ``"any"`` of the clip, or one of each of equal ``"segments"``.
      crop: whether a random part is drawn for each ``"frame"``, or one for all of a ``"clip"``.
      image_size: side of a frame, in pixels.
    """

    frames: int = option(2, f"[1, {_MOST_FRAMES}]")
    pick: video_frames.Pick = "any"
    crop: video_frames.Crop = "frame"
    image_size: int = option(224, "[1, inf)")


class KineticsSounds(PublishedBuilder):
    """Kinetics-Sounds: 10 s clips of 31 actions of Kinetics-400 that can be seen and heard.

    Published result: accuracy .740 with MASAM, .689 with AUG, .636 with late fusion.

    Classes are in alphabetical order, 0 "blowing nose" to 30 "tickling"; the released lists number
    them so ("laughing" is 5, "stomping grapes" 26, and there is no "finger snapping"). Split: the
    lists of the OGM-GE release, 14,799 clips in train and 2,597 in test, or others in their place.
    Those name no validation clips: a stratified tenth of train is held out; a list ``val.txt`` is
    used where there is one. Without lists, the annotations of Kinetics-400 say what is train,
    validation and test; that is another split, with other numbers. A video of YouTube whose clips
    are in two lists is an error, a class without any clip a warning.

    Audio, in order:

    1. The WAV file beside the clip, or in ``audio/``, or else the clip's first audio track;
       channels are averaged.
    2. It is resampled to 22,050 Hz (SciPy's polyphase filter), cut to 1,024 frames (10.2 s) and
       stored in 16 bits, which clips it to [-1, 1].
    3. The waveform's mean is subtracted.
    4. 128 log energies of mel filters from 20 to 8,000 Hz, Kaldi's rules, frames of 25 ms (Hann)
       every 220 samples (9.98 ms), no dither.
    5. Zeros follow until there are 1,024 frames (a clip of 10 s has 1,000).
    6. One mean and standard deviation of all values, from the training samples, zeros included.

    Releases resample to 16 kHz, where some of 128 filters are empty in torchaudio and
    kaldi-native-fbank refuses them; at 22,050 Hz none is empty and the filters cover the same band
    (``masam_jax.data.transforms.fbank``). They normalise by constants, ``(x + 4.503877) / (2 ×
    5.141276)``.

    Video, in order:

    1. Of the clip, the frame at each whole second from the first one on, at most ten; or the images
       in the clip's folder, where frames were extracted before, in the order of their names.
    2. They are stored as JPEG of quality 95, the shorter side at most 256 pixels.
    3. In training, two different frames, drawn at random, in their order; ``pick=segments``, one of
       each of equal segments. At test time the middle frame of each half.
    4. In training, a random part of 8 to 100 % of the area, of shape 3:4 to 4:3, is resized to 224
       × 224 (bilinear) and flipped with chance 1/2, each frame by itself; ``crop=clip``, all frames
       alike. At test time the whole frame is resized to 224 × 224, whatever its shape.
    5. ImageNet's mean and standard deviation.

    Where this differs from the authors' release, and why: at test time, it draws frames at random
    too, so that a score is not the same twice, and here it is; its filterbank at 16 kHz has empty
    filters (see above). It has a validation list of its own, which is not public; OGM-GE's choose
    the epoch on the test clips, here they stay apart. Rotation flags of videos are not applied.
    YouTube has lost clips since: those missing are counted and left out.
    """

    TITLE = "Kinetics-Sounds"
    CLASS_NAMES = (
        "blowing nose",
        "blowing out candles",
        "bowling",
        "chopping wood",
        "dribbling basketball",
        "laughing",
        "mowing lawn",
        "playing accordion",
        "playing bagpipes",
        "playing bass guitar",
        "playing clarinet",
        "playing drums",
        "playing guitar",
        "playing harmonica",
        "playing keyboard",
        "playing organ",
        "playing piano",
        "playing saxophone",
        "playing trombone",
        "playing trumpet",
        "playing violin",
        "playing xylophone",
        "ripping paper",
        "shoveling snow",
        "shuffling cards",
        "singing",
        "stomping grapes",
        "tap dancing",
        "tapping guitar",
        "tapping pen",
        "tickling",
    )
    METRIC = "accuracy"
    HOMEPAGE = "https://github.com/cvdfoundation/kinetics-dataset"
    CITATION = """@inproceedings{arandjelovic2017look,
  title={Look, Listen and Learn},
  author={Arandjelovi{\\'c}, Relja and Zisserman, Andrew},
  booktitle={IEEE International Conference on Computer Vision},
  year={2017}
}"""
    OPTIONS = KineticsSoundsOptions
    CACHED = True
    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES: ClassVar[Mapping[str, str]] = {
        "2.0.0": "Classes numbered as the released lists number them; 22 of 31 were not.",
    }
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
Clips of Kinetics-400 (https://github.com/cvdfoundation/kinetics-dataset), in a folder for each of
the 31 classes, at the top or below train/, val/ and test/, with spaces or underscores in its name:
  playing_accordion/--abcdefghi_000012_000022.mp4   (or .avi, .mkv, .webm)
  playing_accordion/--abcdefghi_000012_000022.wav   its sound, where the clip has no audio track
where frames that were extracted before may stand for a clip, at one a second, a folder of images
named as the clip, such as
  playing_accordion/--abcdefghi_000012_000022/frame_00001.jpg
or below visual/train_imgs/Image-01-FPS/ and visual/test_imgs/Image-01-FPS/, with the sound beside
the folder or in audio/, audio/train/ and audio/test/; and two or three lists:
  train.txt, test.txt, and val.txt where there is one
whose lines are "playing_accordion/--abcdefghi_000012_000022.mp4" (the ending may be left out), or
"--abcdefghi_000012_000022,10,7" (name, seconds, number of the class in alphabetical order), as in
my_train.txt and my_test.txt of the OGM-GE release
(https://github.com/GeWu-Lab/OGM-GE_CVPR2022, folder data/KineticSound), which may keep their names.

Kinetics-400 as it extracts will do too: clips in train/, val/, test/ and
replacement/replacement_for_corrupted_k400/, without folders of classes, and either the lists above
or its own tables, at the top or in annotations/:
  train.csv, test.csv, and val.csv     label,youtube_id,time_start,time_end,...
"""

    options: KineticsSoundsOptions

    @property
    def modalities(self) -> Mapping[str, Modality]:
        """Audio as filterbank, video as frames."""
        scalar, size = Normalization("scalar"), self.options.image_size
        return {
            "audio": Modality("spectrogram", (128, _FBANK_FRAMES, 1), normalization=scalar),
            "video": Modality("frames", (self.options.frames, size, size, 3), np.uint8, IMAGENET),
        }

    def stored_features(self) -> dict[str, Any]:
        """The waveform, and frames at 1 per second."""
        image = tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg")
        return {
            "waveform": tfds.features.Tensor(shape=(None,), dtype=np.int16),
            "frames": tfds.features.Sequence(image),
        }

    def listing(self, source: Path) -> Listing:
        """Clips of the lists, in their order."""
        clips = Clips(source, self.CLASS_NAMES)
        listed: list[tuple[str, str, int]] = []
        digests: dict[str, str] = {}
        lists = {split: _one_of(source, names) for split, names in _LISTS.items()}
        annotations = {} if lists["train"] or lists["test"] else find_annotations(source)
        for split, path in lists.items():
            if path is not None:
                listed += self._listed(path, split)
                digests[path.name] = file_digest(path)
            elif split != "validation" and not annotations:
                raise ValueError(
                    f"{source / _LISTS[split][0]} does not exist; a list of clips is needed, or"
                    " annotations/train.csv and annotations/test.csv of Kinetics-400."
                )
        for split, path in annotations.items():
            rows = read_annotations(path, self.CLASS_NAMES)
            listed += [(name, split, label) for name, label in rows]
            digests[path.relative_to(source).as_posix()] = file_digest(path)
        records = []
        for name, split, label in listed:
            clip = clips.find(name, label)
            media = {"clip": clip, "sound": clips.sound(clip, label)}
            records.append(Record(name, split, label, media, video_of(name)))
        _check_groups(records)
        counts = {name: sum(record.split == name for record in records) for name in _LISTS}
        found = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        whose = (
            "the published counts" if counts == _PUBLISHED_COUNTS else "not the published counts"
        )
        what = "Kinetics-400's own annotations" if annotations else "the lists"
        rule = f"{what}, {found} clips, which are {whose} (14799 train, 2597 test)"
        warnings = _missing_classes(records, clips, self.CLASS_NAMES)
        return Listing(tuple(records), {"rule": rule, **digests}, warnings)

    def source_of_files(self, cells: Mapping[str, str], folder: Path) -> dict[str, Any]:
        """A clip or the folder of its frames, and its sound: the clip again, or a ``.wav``."""
        clip, sound = (folder / Path(cells[name]).expanduser() for name in ("video", "audio"))
        return {"clip": clip, "sound": sound}

    def encode(self, record: Record) -> dict[str, Any]:
        """The waveform at 22,050 Hz in 16 bits, and a frame of each second."""
        clip, sound = record.source["clip"], record.source["sound"]
        read = audio_clip.read_audio_track if sound == clip else audio_clip.read_wave
        waveform = audio_clip.resample(*read(sound), _RATE)
        if len(waveform) < fbank.samples_of_frames(1, rate=_RATE):
            raise DamagedMedia(f"{sound}: its sound is shorter than 25 ms.")
        longest = fbank.samples_of_frames(_FBANK_FRAMES, rate=_RATE)
        read_images = video_frames.read_frame_folder if clip.is_dir() else video_frames.read_frames
        frames = read_images(clip, limit=_MOST_FRAMES)
        return {
            "waveform": audio_clip.as_int16(waveform[:longest]),
            "frames": [video_frames.jpeg_bytes(frame) for frame in frames],
        }

    def decode(self, example: Mapping[str, Any], draws: Draws | None) -> dict[str, Any]:
        """Steps 3 to 5 of audio, 3 and 4 of video."""
        features = fbank.filterbank(audio_clip.as_float(example["waveform"]), rate=_RATE)
        audio = np.ascontiguousarray(fbank.fit_frames(features, _FBANK_FRAMES).T)
        video = video_frames.prepare_frames(
            example["frames"],
            self.options.frames,
            self.options.image_size,
            draws,
            pick=self.options.pick,
            crop=self.options.crop,
        )
        return {"audio": audio[..., np.newaxis], "video": video}

    def _listed(self, path: Path, split: str) -> Iterator[tuple[str, str, int]]:
        """Name, split and class of each line."""
        with path.open(encoding="utf-8-sig", newline="") as file:
            for line, row in enumerate(csv.reader(file), start=1):
                if not row:
                    continue
                try:
                    name, label = self._clip_of([part.strip() for part in row])
                except ValueError as error:
                    raise ValueError(f"{path}, line {line}: {','.join(row)!r}: {error}") from None
                yield name, split, label

    def _clip_of(self, row: list[str]) -> tuple[str, int]:
        """Name and class of a line."""
        if len(row) == 3 and row[2].isdecimal():
            if int(row[2]) >= self.num_classes:
                raise ValueError(f"classes are 0 to {self.num_classes - 1}.")
            return without_ending(row[0]), int(row[2])
        folder, _, name = row[0].rpartition("/")
        class_name = folder.rpartition("/")[2].replace("_", " ")
        if len(row) != 1 or class_name not in self.CLASS_NAMES or not name:
            raise ValueError("'CLASS/NAME.mp4' or 'NAME,10,NUMBER OF THE CLASS' is needed.")
        return without_ending(name), self.CLASS_NAMES.index(class_name)


def _check_groups(records: list[Record]) -> None:
    split_of: dict[str, str] = {}
    for record in records:
        split = split_of.setdefault(record.group, record.split)
        if split != record.split:
            raise ValueError(
                f"clips of the video {record.group!r} are listed for {split} and for"
                f" {record.split}; a video must be on one side."
            )


def _one_of(source: Path, names: Sequence[str]) -> Path | None:
    lists = [source / name for name in names if (source / name).is_file()]
    if len(lists) > 1:
        raise ValueError(
            f"{source} has both {' and '.join(path.name for path in lists)}; one must go."
        )
    return lists[0] if lists else None


def _missing_classes(
    records: Sequence[Record], clips: Clips, names: Sequence[str]
) -> tuple[str, ...]:
    """A sentence on the classes that no clip is there for, if there are such."""
    present = {record.label for record in records if record.source["clip"].exists()}
    listed = {record.label for record in records}
    lost = [label for label in range(len(names)) if label in listed - present]
    warnings = []
    if lost:
        count = sum(record.label in lost for record in records)
        shown = ", ".join(names[label] for label in lost)
        warnings.append(
            f"{len(lost)} of {len(names)} classes have no clip, {count} clips listed: {shown};"
            f" {clips.expected(lost[0])} is where the first was looked for."
        )
    unlisted = [name for label, name in enumerate(names) if label not in listed]
    if unlisted:
        warnings.append(
            f"{len(unlisted)} of {len(names)} classes are in no list: {', '.join(unlisted)}."
        )
    return tuple(warnings)
