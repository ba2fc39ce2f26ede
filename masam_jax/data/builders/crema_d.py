"""CREMA-D: emotion from speech and face."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from masam_jax.core.specs import Options, option
from masam_jax.data.builders.base import PublishedBuilder
from masam_jax.data.builders.crema_d_lists import find_lists, read_list
from masam_jax.data.builders.index import Index
from masam_jax.data.builders.source import Listing, Record, file_digest, need
from masam_jax.data.builders.tfds import tfds
from masam_jax.data.draws import Draws
from masam_jax.data.modality import IMAGENET, Modality, Normalization
from masam_jax.data.transforms import audio_clip, fbank, spectrogram, video_frames

CremaDSplit = Literal["published", "actor"]
AudioName = Literal["stft", "fbank"]

_RATE = 22050
_LENGTH = 3 * _RATE
_FBANK_FRAMES = 1024
# Frames that were extracted before, in a folder for each clip, with or without the file's ending.
_FRAMES = ("Image-01-FPS", "visual/train_imgs/Image-01-FPS", "visual/test_imgs/Image-01-FPS")
_SOUNDS = ("AudioWAV", "audio/train", "audio/test")
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
      split: ``"published"``, by the lists, OGM-GE's or MLA's, where each actor is on both sides;
        ``"actor"``, where none is.
      audio: ``"fbank"``, 128 mel filters; ``"stft"``, the log spectrogram of OGM-GE.
      frames: of the video, 1 to 3.
      pick: frames in training, ``"any"`` of the clip, or one of each of equal ``"segments"``.
      crop: whether a random part is drawn for each ``"frame"``, or one for all of a ``"clip"``.
      image_size: side of a frame, in pixels.
    """

    split: CremaDSplit = "published"
    audio: AudioName = "fbank"
    frames: int = option(2, f"[1, {_MOST_FRAMES}]")
    pick: video_frames.Pick = "any"
    crop: video_frames.Crop = "frame"
    image_size: int = option(224, "[1, inf)")


class CremaD(PublishedBuilder):
    """CREMA-D: 7442 clips of 91 actors who say 12 sentences in 6 emotions.

    Published result: accuracy .814 with MASAM, .770 with AUG, .660 with late fusion.

    Split "published" (the default): lists of 6698 clips in train and 744 in test, where all 91
    actors are on both sides. Two draws are in use, whose test lists share 71 of 744 clips: OGM-GE's
    (lines ``NAME,SAD``) and MLA's (``NAME.flv Sad``), which the authors' release reads. Numbers on
    the two are not comparable; the provenance says which one was prepared. They name no validation
    clips: a stratified tenth of train is held out. The release's validation is the test list, so
    that its epoch is chosen on test clips; here they stay apart. Split "actor", ours: test has the
    actors whose number ends in 0, validation those in 5, train all others; no list is needed.

    Audio, in order:

    1. The WAV file's channels are averaged.
    2. It is resampled from 16 kHz to 22,050 Hz (SciPy's polyphase filter; releases use librosa,
       whose filter differs) and stored in 16 bits, which clips it to [-1, 1].
    3. "fbank" (the default): 128 log energies of mel filters from 20 to 8,000 Hz, frames of 25 ms
       (Hann) every 220 samples (9.98 ms), of the waveform less its mean; zeros follow until there
       are 1,024 frames, or it is cut to these. One mean and standard deviation of all values, from
       the training samples, zeros included. The rate stays at 22,050 Hz, as no filterbank has 128
       filters at 16 kHz without empty ones (``masam_jax.data.transforms.fbank``).
    4. "stft": the waveform is repeated until it lasts 3 s, then cut to the first 3 s, 66,150
       samples. 257 × 188 log magnitudes ``log(|X| + 1e-7)`` of windows of 512 samples (Hann) every
       353, centred, zeros beyond the ends (librosa's rule since 0.9; older ones reflect). They are
       not normalised.

    Video, in order:

    1. Of the FLV file, the frame at each whole second from the first one on, at most ten; or the
       images in the clip's folder, where frames were extracted before, in the order of their names.
    2. They are stored as JPEG of quality 95, the shorter side at most 256 pixels.
    3. In training, two different frames, drawn at random, in their order; ``pick=segments``, one of
       each of equal segments. At test time the middle frame of each half.
    4. In training, a random part of 8 to 100 % of the area, of shape 3:4 to 4:3, is resized to 224
       × 224 (bilinear) and flipped with chance 1/2, each frame by itself; ``crop=clip``, all frames
       alike. At test time the whole frame is resized to 224 × 224, whatever its shape.
    5. ImageNet's mean and standard deviation.

    Known damaged clips, by the data set's authors: 1076_MTI_NEU_XX and 1076_MTI_SAD_XX are almost
    empty (the sound of the latter is silence), 1064_TIE_SAD_XX has some 18 frames, and
    1064_IEO_DIS_MD lasts a minute and holds every emotion. They are in the lists, as in releases;
    what cannot be read is left out and reported.

    Where this differs from the authors' release, and why: at test time, it draws frames at random
    too, so that a score is not the same twice, and here it is; its filterbank at 16 kHz has empty
    filters (see above), and it is not normalised; validation clips (see above). Rotation flags of
    videos are not applied.
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
where frames that were extracted before may stand for the videos, a folder of images for each clip,
Image-01-FPS/1001_DFA_ANG_XX/ or visual/train_imgs/Image-01-FPS/1001_DFA_ANG_XX.flv/ (and
visual/test_imgs), and audio/train/ and audio/test/ for AudioWAV/. And, for the published split,
two lists: those of the OGM-GE release (https://github.com/GeWu-Lab/OGM-GE_CVPR2022, folder
data/CREMAD),
  train.csv, test.csv             lines "1001_DFA_ANG_XX,ANG", without a header
or those of MLA's (https://github.com/Cecile-hi/Multimodal-Learning-with-Alternating-Unimodal-Adaptation,
folder data), which are another draw,
  my_train_cre.txt, my_test_cre.txt     (or train.txt, test.txt) lines "1001_DFA_ANG_XX.flv Anger"
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
        if not any((source / folder).is_dir() for folder in _SOUNDS):
            need(source / "AudioWAV", "the folder of .wav files of CREMA-D")
        if not any((source / folder).is_dir() for folder in _FRAMES):
            need(source / "VideoFlash", "the folder of .flv files of CREMA-D")
        if self.options.split == "actor":
            return self._listing_by_actor(source)
        records: list[Record] = []
        digests = {}
        lists = find_lists(source)
        draws = set()
        for split, path in lists.items():
            for name, label, draw in read_list(path, self.CODES):
                records.append(_record(source, name, split, label))
                draws.add(draw)
            digests[path.name] = file_digest(path)
        if len(draws) > 1:
            raise ValueError(
                f"{' and '.join(map(str, lists.values()))} are lists of two kinds, of different"
                " draws; both must be of one."
            )
        counts = {s: sum(record.split == s for record in records) for s in _PUBLISHED_COUNTS}
        found = f"{counts['train']} train and {counts['test']} test clips"
        whose = (
            "the published counts" if counts == _PUBLISHED_COUNTS else "not the published counts"
        )
        names = " and ".join(path.name for path in lists.values())
        draw = next(iter(draws), "unknown")
        rule = f"the lists {names} ({draw}'s draw), {found}, which are {whose} (6698 and 744)"
        return Listing(tuple(records), {"rule": rule, **digests})

    def source_of_files(self, cells: Mapping[str, str], folder: Path) -> dict[str, Any]:
        """A clip's ``.wav`` file, and its video or the folder of its frames."""
        return {name: folder / Path(cells[name]).expanduser() for name in ("audio", "video")}

    def encode(self, record: Record) -> dict[str, Any]:
        """The waveform at 22,050 Hz in 16 bits, and a frame of each second."""
        waveform, rate = audio_clip.read_wave(record.source["audio"])
        video = record.source["video"]
        read = video_frames.read_frame_folder if video.is_dir() else video_frames.read_frames
        frames = read(video)
        return {
            "waveform": audio_clip.as_int16(audio_clip.resample(waveform, rate, _RATE)),
            "frames": [video_frames.jpeg_bytes(frame) for frame in frames],
        }

    def decode(self, example: Mapping[str, Any], draws: Draws | None) -> dict[str, Any]:
        """Step 3 or 4 of audio, 3 and 4 of video."""
        if self.options.audio == "stft":
            waveform = audio_clip.as_float(audio_clip.fit_length(example["waveform"], _LENGTH))
            audio = spectrogram.log_spectrogram(waveform)
        else:
            features = fbank.filterbank(audio_clip.as_float(example["waveform"]), rate=_RATE)
            audio = fbank.fit_frames(features, _FBANK_FRAMES).T
        video = video_frames.prepare_frames(
            example["frames"],
            self.options.frames,
            self.options.image_size,
            draws,
            pick=self.options.pick,
            crop=self.options.crop,
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
        folders = [source / folder for folder in _SOUNDS]
        names = sorted({path.stem for folder in folders for path in folder.glob("*.wav")})
        records = []
        for name in names:
            parts = name.split("_")
            if len(parts) != 4 or not parts[0].isdecimal() or parts[2] not in self.CODES:
                raise ValueError(
                    f"{_first(folders, f'{name}.wav')}: a name such as 1001_DFA_ANG_XX is needed,"
                    f" with one of {self.CODES}."
                )
            label = self.CODES.index(parts[2])
            actor = _actor(name)
            records.append(_record(source, name, _part_of(actor), label, actor))
        return Listing(tuple(records), {"rule": _ACTOR_RULE})


def _record(source: Path, name: str, split: str, label: int, group: str = "") -> Record:
    media = {
        "audio": _first([source / folder for folder in _SOUNDS], f"{name}.wav"),
        "video": _video(source, name),
    }
    return Record(name, split, label, media, group)


def _first(folders: Sequence[Path], name: str) -> Path:
    """The file in the first folder that has it, or in the first."""
    places = [folder / name for folder in folders]
    return next((place for place in places if place.is_file()), places[0])


def _video(source: Path, name: str) -> Path:
    """A clip's file, or the folder of its frames."""
    file = source / "VideoFlash" / f"{name}.flv"
    folders = [source / place / spelling for place in _FRAMES for spelling in (name, f"{name}.flv")]
    return file if file.is_file() else next((f for f in folders if f.is_dir()), file)


def _actor(name: str) -> str:
    return name.split("_")[0]


def _part_of(actor: str) -> str:
    return {"0": "test", "5": "validation"}.get(actor[-1], "train")
