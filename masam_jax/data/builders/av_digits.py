"""AV digits: handwritten and spoken digits."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from masam_jax.core.extras import install_extras
from masam_jax.core.specs import Options, option
from masam_jax.data.builders.base import PublishedBuilder
from masam_jax.data.builders.espeak import Speaker
from masam_jax.data.builders.source import Listing, Record
from masam_jax.data.builders.tfds import tfds
from masam_jax.data.draws import Draws
from masam_jax.data.modality import Modality, Normalization
from masam_jax.data.splits import make_split
from masam_jax.data.transforms.log_mel import log_mel

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
"""What is said of each class."""

ACCENTS = (
    *("en", "en-029", "en-GB-scotland", "en-GB-x-gbclan", "en-GB-x-gbcwmd", "en-GB-x-rp"),
    *("en-US", "en-US-nyc"),
)
"""Files of espeak-ng's English voices, common to all splits."""

SPEAKERS: Mapping[str, tuple[str, ...]] = {
    "train": ("f1", "f3", "f4", "m1", "m2", "m4", "m6", "m8"),
    "validation": ("f5", "m5"),
    "test": ("f2", "m3", "m7"),
}
"""espeak-ng's voice variants, each in one split alone."""

SPEEDS = (140, 160, 180, 200, 220)
"""Words a minute."""
PITCHES = (30, 40, 50, 60, 70)
"""espeak-ng's pitch, 50 being the voice's own."""

_RATE = 22050
_FRAME, _HOP, _FRAMES, _BANDS = 512, 350, 50, 40
_SAMPLES = _FRAME + (_FRAMES - 1) * _HOP
_LOW, _HIGH, _FLOOR = 60.0, 8000.0, 1e-4
_FULL_SCALE = 2**15
# Of int16: softer samples at both ends are silence.
_SILENCE = 100
# Streams of `Draws` and of the noise.
_SPEECH, _NOISE = 0, 1


@dataclasses.dataclass(frozen=True)
class AvDigitsOptions(Options):
    """Variants of AV digits. ``seed`` and ``samples`` shape the prepared copy, ``snr_db`` does not.

    Attributes:
      snr_db: power of the word over that of the noise, in dB; None for no noise.
      seed: draws the split, what is paired, and the noise; an integer >= 0.
      samples: number of images, stratified by class, 20 to 1797; None for all.

    Raises:
      ValueError: for a value out of range.
    """

    snr_db: float | None = option(0.0, "[-100, 100]")
    seed: int = option(0, "[0, inf)")
    samples: int | None = option(None, "[20, 1797]")


class AvDigits(PublishedBuilder):
    """AV digits: which digit is it, seen in a small image and heard in noise.

    A demonstration that anyone can run: nothing is downloaded. It is no data set of the paper and
    has no published number; its metric is accuracy.

    1. ``image``: scikit-learn's ``load_digits``, 1797 images of handwritten digits, ``[8, 8, 1]``,
       uint8, 0 to 16. They are the test part of UCI's Optical Recognition of Handwritten Digits;
       who wrote which is not known, so writers may be in several splits.
    2. Split: 20 % test, 10 % validation, 70 % train, stratified by class, with the option
       ``seed`` (``masam_jax.data.splits.make_split``).
    3. Each image gets an utterance of its own: the digit's English word by espeak-ng, accent, voice
       variant, speed and pitch drawn uniformly (from ``seed`` and the image's number) from
       ``ACCENTS``, ``SPEAKERS`` of the image's split, ``SPEEDS`` and ``PITCHES``. So no speaker is
       in two splits; accents are in all.
    4. The utterance is made at 22050 Hz. Samples below 100 of 32768 at its ends are cut off. It is
       put into 17662 samples (0.80 s) of silence, at a place drawn uniformly; what is longer is cut
       (none is, with espeak-ng 1.52).
    5. White Gaussian noise over all samples, ``snr_db`` below the mean power of the word; always
       the same for a sample, drawn from ``seed`` and the image's number.
    6. ``audio``: log-mel spectrogram ``[40, 50, 1]`` (``masam_jax.data.transforms.log_mel``), of
       frames of 512 samples (Hann) every 350: 40 triangular bands from 60 to 8000 Hz on the HTK
       scale, natural logarithm of the power (of samples with full scale 1) plus 1e-4.
    7. Both are standardised by one mean and one standard deviation over the training samples.

    There is no augmentation. Utterances are the same wherever the same release of espeak-ng runs on
    the same kind of machine; other releases speak otherwise, which is why the release is noted.
    """

    VERSION = tfds.core.Version("1.0.0")
    TITLE = "AV digits"
    CLASS_NAMES = WORDS
    METRIC = "accuracy"
    HOMEPAGE = "https://archive.ics.uci.edu/dataset/80"
    CITATION = """@misc{alpaydin1998digits,
  author = {Alpaydin, E. and Kaynak, C.},
  title = {Optical Recognition of Handwritten Digits},
  publisher = {UCI Machine Learning Repository},
  year = {1998},
  doi = {10.24432/C50P49}
}"""
    OPTIONS = AvDigitsOptions
    IN_MEMORY = True
    NEEDS_SOURCE: ClassVar[bool] = False
    PREPARED_WITH = ("seed", "samples")
    MANUAL_DOWNLOAD_INSTRUCTIONS = """No files are needed: images come with scikit-learn, and speech
is synthesised by espeak-ng. Both come with the extra data (pip install '.[data]' in a clone of
masam_jax); espeak-ng may also be the system's own (apt-get install espeak-ng)."""

    _speaker: Speaker | None = None

    @property
    def modalities(self) -> Mapping[str, Modality]:
        """``audio`` [40, 50, 1] float32 and ``image`` [8, 8, 1] uint8."""
        scale = Normalization("scalar")
        return {
            "audio": Modality("spectrogram", (_BANDS, _FRAMES, 1), np.float32, scale),
            "image": Modality("image", (8, 8, 1), np.uint8, scale),
        }

    def stored_features(self) -> dict[str, Any]:
        """The image, the utterance without noise, where it begins, and the image's number."""
        return {
            "image": tfds.features.Tensor(shape=(8, 8, 1), dtype=np.uint8),
            "speech": tfds.features.Tensor(shape=(None,), dtype=np.int16),
            "begin": tfds.features.Scalar(dtype=np.int32),
            "number": tfds.features.Scalar(dtype=np.int32),
        }

    def listing(self, source: Path | None = None) -> Listing:
        """All images with their utterance's voice, in the order of scikit-learn.

        Raises:
          ValueError: scikit-learn or espeak-ng is not installed; the message says how to.
        """
        del source
        images, labels = _load_images()
        self._speaker = Speaker()
        seed = self.options.seed
        count = len(labels) if self.options.samples is None else self.options.samples
        test, validation = round(0.2 * count), round(0.1 * count)
        split = make_split(
            labels,
            seed=seed,
            split_seed=seed,
            train_size=count - test - validation,
            validation_size=validation,
            test_size=test,
        )
        parts = {int(row): name for name, rows in split._asdict().items() for row in rows}
        records = []
        for row, part in sorted(parts.items()):
            draws = Draws(seed, _SPEECH, row)
            speaker = SPEAKERS[part][draws.integer(len(SPEAKERS[part]))]
            utterance = {
                "word": WORDS[labels[row]],
                "voice": f"{ACCENTS[draws.integer(len(ACCENTS))]}+{speaker}",
                "speed": SPEEDS[draws.integer(len(SPEEDS))],
                "pitch": PITCHES[draws.integer(len(PITCHES))],
                "place": draws.uniform(),
            }
            facts = {"image": images[row], "number": row, **utterance}
            records.append(Record(f"digit{row:04d}", part, int(labels[row]), facts, speaker))
        provenance = {
            "rule": f"seed {seed}, {count} images: 20 % test, 10 % validation; disjoint speakers",
            "images": hashlib.sha256(images.tobytes()).hexdigest(),
            "speech": f"espeak-ng {self._speaker.version}",
        }
        return Listing(tuple(records), provenance)

    def encode(self, record: Record) -> dict[str, Any]:
        """Speaks the word, and says where in the recording it begins."""
        speaker = self._speaker or Speaker()
        facts = record.source
        speech, rate = speaker.say(
            facts["word"],
            facts["voice"],
            speed=facts["speed"],
            pitch=facts["pitch"],
        )
        if rate != _RATE:
            raise ValueError(f"espeak-ng speaks at {rate} Hz; {_RATE} is needed.")
        loud = np.flatnonzero(np.abs(speech.astype(np.int32)) >= _SILENCE)
        if not len(loud):
            raise ValueError(f"espeak-ng says nothing for {record.key} with {facts['voice']}.")
        word = speech[loud[0] : loud[-1] + 1][:_SAMPLES]
        return {
            "image": facts["image"],
            "speech": word,
            "begin": int(facts["place"] * (_SAMPLES - len(word) + 1)),
            "number": facts["number"],
        }

    def decode(self, example: Mapping[str, Any], draws: Draws | None) -> dict[str, Any]:
        """The image, and the log-mel spectrogram of the word in noise."""
        del draws
        word = np.asarray(example["speech"], np.float64) / _FULL_SCALE
        recording = np.zeros(_SAMPLES)
        begin = int(example["begin"])
        recording[begin : begin + len(word)] = word
        if self.options.snr_db is not None:
            power = np.mean(word**2) / 10 ** (self.options.snr_db / 10)
            noise = _gaussian(_SAMPLES, self.options.seed, int(example["number"]))
            recording += np.sqrt(power) * noise
        audio = log_mel(
            recording,
            _RATE,
            frame=_FRAME,
            hop=_HOP,
            bands=_BANDS,
            low=_LOW,
            high=_HIGH,
            floor=_FLOOR,
        )
        return {"audio": audio[..., np.newaxis], "image": np.asarray(example["image"])}


def _load_images() -> tuple[np.ndarray, np.ndarray]:
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise ValueError(
            f"av_digits takes its images from scikit-learn: {install_extras('data')}."
        ) from error
    digits = load_digits()
    return digits.images.astype(np.uint8)[..., np.newaxis], digits.target.astype(np.int32)


def _gaussian(size: int, seed: int, number: int) -> np.ndarray:
    """Normal numbers by Box and Muller from raw PCG64 words, which NumPy keeps (NEP 19)."""
    sequence = np.random.SeedSequence(seed, spawn_key=(_NOISE, number))
    half = (size + 1) // 2
    words = np.random.PCG64(sequence).random_raw(2 * half) >> np.uint64(11)
    # In (0, 1], whose logarithm is finite.
    first, second = ((words.astype(np.float64) + 1) * 2.0**-53).reshape(2, half)
    radius, angle = np.sqrt(-2 * np.log(first)), 2 * np.pi * second
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:size]
