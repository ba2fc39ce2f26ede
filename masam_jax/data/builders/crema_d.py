"""CREMA-D: emotion from speech and face."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import tensorflow_datasets as tfds

from masam_jax.core.specs import Options, option
from masam_jax.data.builders.base import PublishedBuilder
from masam_jax.data.builders.index import Index
from masam_jax.data.builders.source import Listing, Record, file_digest, need
from masam_jax.data.draws import Draws
from masam_jax.data.modality import IMAGENET, Modality, Normalization
from masam_jax.data.transforms import audio_clip, fbank, spectrogram, video_frames

CremaDSplit = Literal["published", "actor"]
AudioName = Literal["stft", "fbank"]

_RATE = 22050
_LENGTH = 3 * _RATE
_FBANK_FRAMES = 299
_MOST_FRAMES = 3
_PUBLISHED_COUNTS = {"train": 6698, "test": 744}
_ACTOR_RULE = (
    "by actor: a number that ends in 0 (1010, …, 1090) is in test, in 5 (1005, …, 1085) in"
    " validation, any other in train"
)


@dataclasses.dataclass(frozen=True)
class CremaDOptions(Options):
    """Variants of CREMA-D.

    Attributes:
      split: ``"published"``, by the lists ``train.csv`` and ``test.csv``, where each actor is on
        both sides; ``"actor"``, where none is.
      audio: ``"stft"``, the published log spectrogram; ``"fbank"``, 128 mel filters.
      frames: of the video, 1 to 3.
      image_size: side of a frame, in pixels.
    """

    split: CremaDSplit = "published"
    audio: AudioName = "stft"
    frames: int = option(1, f"[1, {_MOST_FRAMES}]")
    image_size: int = option(224, "[1, inf)")


class CremaD(PublishedBuilder):
    """CREMA-D: 7442 clips of 91 actors who say 12 sentences in 6 emotions.

    Published result: accuracy .814 with MASAM, .770 with AUG, .660 with late fusion.

    Split "published" (the default): the lists of the OGM-GE release, 6698 clips in train and 744 in
    test, where all 91 actors are on both sides. They name no validation clips: a stratified tenth
    of train is held out. Split "actor", ours: test has the actors whose number ends in 0,
    validation those in 5, train all others; no list is needed.

    Audio, in order:

    1. The WAV file's channels are averaged.
    2. It is resampled from 16 kHz to 22,050 Hz (SciPy's polyphase filter; releases use librosa,
       whose filter differs) and stored in 16 bits, which clips it to [-1, 1].
    3. It is repeated until it lasts 3 s, then cut to the first 3 s, 66,150 samples.
    4. "stft": 257 × 188 log magnitudes ``log(|X| + 1e-7)`` of windows of 512 samples (Hann) every
       353, centred, zeros beyond the ends (librosa's rule since 0.9; older ones reflect). They are
       not normalised.
       "fbank": 128 × 299 log energies of mel filters from 20 to 8,000 Hz, frames of 25 ms (Hann)
       every 220 samples (9.98 ms), of the waveform less its mean; one mean and standard deviation
       from the training samples. The rate stays at 22,050 Hz, as no filterbank has 128 filters at
       16 kHz without empty ones (``masam_jax.data.transforms.fbank``).

    Video, in order:

    1. Of the FLV file, the frame at each whole second from the first one on, at most ten.
    2. They are stored as JPEG of quality 95, the shorter side at most 256 pixels.
    3. The clip is cut into as many equal segments as frames are wanted. At test time, the middle
       frame of each; in training, any frame of each.
    4. In training, a random part of 8 to 100 % of the area, of shape 3:4 to 4:3, the same for all
       frames, is resized to 224 × 224 (bilinear), and all frames are flipped with chance 1/2. At
       test time the whole frame is resized to 224 × 224, whatever its shape.
    5. ImageNet's mean and standard deviation.

    What is not stated where it was published, and what is done here: how many frames (releases use
    1 to 3; 1 is the default here, OGM-GE's default too), which of them (some releases draw them at
    test time too, or take whichever the file system lists first; here as in step 3), the crop (per
    frame in releases, per clip here), and validation clips (some releases choose the epoch on the
    test clips). Rotation flags of videos are not applied.
    """

    TITLE = "CREMA-D"
    CLASS_NAMES = ("neutral", "happy", "sad", "fear", "disgust", "anger")
    METRIC = "accuracy"
    HOMEPAGE = "https://github.com/CheyneyComputerScience/CREMA-D"
    CITATION = """@article{cao2014crema,
  title={CREMA-D: Crowd-sourced Emotional Multimodal Actors Dataset},
  author={Cao, Houwei and Cooper, David G. and Keutmann, Michael K. and Gur, Ruben C. and
          Nenkova, Ani and Verma, Ragini},
  journal={IEEE Transactions on Affective Computing},
  year={2014}
}"""
    OPTIONS = CremaDOptions
    CACHED = True
    CODES: ClassVar[tuple[str, ...]] = ("NEU", "HAP", "SAD", "FEA", "DIS", "ANG")
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
The public release (https://github.com/CheyneyComputerScience/CREMA-D, with Git LFS), as it unpacks:
  AudioWAV/1001_DFA_ANG_XX.wav    7442 files: actor, sentence, emotion, level
  VideoFlash/1001_DFA_ANG_XX.flv  as many
and, for the published split, the two lists of the OGM-GE release
(https://github.com/GeWu-Lab/OGM-GE_CVPR2022, folder data/CREMAD):
  train.csv, test.csv             lines "1001_DFA_ANG_XX,ANG", without a header
Without the lists, choose the option split="actor"."""

    options: CremaDOptions

    @property
    def modalities(self) -> Mapping[str, Modality]:
        """Audio as log spectrogram or filterbank, video as frames."""
        audio = {
            "stft": Modality("spectrogram", (257, 188, 1), normalization=Normalization("none")),
            "fbank": Modality(
                "spectrogram", (128, _FBANK_FRAMES, 1), normalization=Normalization("scalar")
            ),
        }
        size = self.options.image_size
        video = Modality("frames", (self.options.frames, size, size, 3), np.uint8, IMAGENET)
        return {"audio": audio[self.options.audio], "video": video}

    def stored_features(self) -> dict[str, Any]:
        """The waveform, and frames at 1 per second."""
        image = tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg")
        return {
            "waveform": tfds.features.Tensor(shape=(None,), dtype=np.int16),
            "frames": tfds.features.Sequence(image),
        }

    def listing(self, source: Path) -> Listing:
        """Clips of the lists, in their order, or of the folder ``AudioWAV``, in that of names."""
        for folder, ending in (("AudioWAV", "wav"), ("VideoFlash", "flv")):
            need(source / folder, f"the folder of .{ending} files of CREMA-D")
        if self.options.split == "actor":
            return self._listing_by_actor(source)
        records: list[Record] = []
        digests = {}
        for split in _PUBLISHED_COUNTS:
            path = source / f"{split}.csv"
            if not path.is_file():
                raise ValueError(
                    f"{path} does not exist; it is a list of the OGM-GE release"
                    " (https://github.com/GeWu-Lab/OGM-GE_CVPR2022, folder data/CREMAD)."
                    " The option split='actor' needs no list."
                )
            records += self._listed(source, path, split)
            digests[path.name] = file_digest(path)
        counts = {s: sum(record.split == s for record in records) for s in _PUBLISHED_COUNTS}
        found = f"{counts['train']} train and {counts['test']} test clips"
        whose = (
            "the published counts" if counts == _PUBLISHED_COUNTS else "not the published counts"
        )
        rule = f"the lists train.csv and test.csv, {found}, which are {whose} (6698 and 744)"
        return Listing(tuple(records), {"rule": rule, **digests})

    def encode(self, record: Record) -> dict[str, Any]:
        """The waveform at 22,050 Hz in 16 bits, and a frame of each second."""
        waveform, rate = audio_clip.read_wave(record.source["audio"])
        frames = video_frames.read_frames(record.source["video"])
        return {
            "waveform": audio_clip.as_int16(audio_clip.resample(waveform, rate, _RATE)),
            "frames": [video_frames.jpeg_bytes(frame) for frame in frames],
        }

    def decode(self, example: Mapping[str, Any], draws: Draws | None) -> dict[str, Any]:
        """Steps 3 and 4 of audio and video."""
        waveform = audio_clip.as_float(audio_clip.fit_length(example["waveform"], _LENGTH))
        if self.options.audio == "stft":
            audio = spectrogram.log_spectrogram(waveform)
        else:
            audio = fbank.filterbank(waveform, rate=_RATE).T
        video = video_frames.prepare_frames(
            example["frames"], self.options.frames, self.options.image_size, draws
        )
        return {"audio": np.ascontiguousarray(audio)[..., np.newaxis], "video": video}

    def parts(self, index: Index, split_seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Parts and actors by the option ``split``, whichever the data were prepared with.

        Raises:
          ValueError: the published split of data that were prepared without its lists.
        """
        splits, groups = index.splits, index.groups
        by_actor = bool((groups != "").any())
        if self.options.split == "published" and by_actor:
            raise ValueError(
                "crema_d: these data were prepared with split='actor', without the published lists;"
                " prepare them again with split='published'."
            )
        if self.options.split == "actor" and not by_actor:
            groups = np.array([_actor(key) for key in index.keys])
            splits = np.array([_part_of(actor) for actor in groups.tolist()])
        return splits, groups

    def _listing_by_actor(self, source: Path) -> Listing:
        names = sorted(path.stem for path in (source / "AudioWAV").glob("*.wav"))
        records = []
        for name in names:
            parts = name.split("_")
            if len(parts) != 4 or not parts[0].isdecimal() or parts[2] not in self.CODES:
                raise ValueError(
                    f"{source / 'AudioWAV' / name}.wav: a name such as 1001_DFA_ANG_XX is needed,"
                    f" with one of {self.CODES}."
                )
            label = self.CODES.index(parts[2])
            actor = _actor(name)
            records.append(_record(source, name, _part_of(actor), label, actor))
        return Listing(tuple(records), {"rule": _ACTOR_RULE})

    def _listed(self, source: Path, path: Path, split: str) -> list[Record]:
        records = []
        # The lists begin with a byte order mark here and there.
        with path.open(encoding="utf-8-sig", newline="") as file:
            for line, row in enumerate(csv.reader(file), start=1):
                if not row:
                    continue
                if len(row) != 2 or row[1].strip() not in self.CODES:
                    raise ValueError(
                        f"{path}, line {line}: {','.join(row)!r} was found; a line such as"
                        f" '1001_DFA_ANG_XX,ANG' is needed, with one of {self.CODES}."
                    )
                name, code = (part.strip() for part in row)
                records.append(_record(source, name, split, self.CODES.index(code)))
        return records


def _record(source: Path, name: str, split: str, label: int, group: str = "") -> Record:
    media = {
        "audio": source / "AudioWAV" / f"{name}.wav",
        "video": source / "VideoFlash" / f"{name}.flv",
    }
    return Record(name, split, label, media, group)


def _actor(name: str) -> str:
    return name.split("_")[0]


def _part_of(actor: str) -> str:
    return {"0": "test", "5": "validation"}.get(actor[-1], "train")
