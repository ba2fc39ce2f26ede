"""Spoken and written digits, paired at random within a digit."""

from __future__ import annotations

import dataclasses
import functools
from typing import Literal

import numpy as np

from masam_jax.core.specs import Options
from masam_jax.data.in_memory import MultimodalData
from masam_jax.data.modality import Modality, Normalization
from masam_jax.data.shipped_file import read_shipped
from masam_jax.data.splits import published_split

_SHA256 = "eeaa5e676bacf91fb08660d80383e3e5473046f9a2b211dad8c5b680581c7d4e"
# By speaker: george, jackson, lucas; nicolas; theo, yweweler.
_PARTS = np.array(["train", "train", "train", "validation", "test", "test"])


@dataclasses.dataclass(frozen=True)
class AvMnistOptions(Options):
    """Options of ``av_mnist``.

    Attributes:
      speakers: whether every speaker is in every part, ``mixed``, or those of validation and test
        are in no other, ``held_out``.
    """

    speakers: Literal["mixed", "held_out"] = "mixed"


def load_av_mnist(options: AvMnistOptions | None = None) -> MultimodalData:
    """Speech and handwriting of the same digit, which ship inside the package.

    3000 rows of ten classes: ``audio``, log-mel spectrograms ``[32, 48, 1]`` of one second, 50
    recordings of each digit by each of six speakers, and ``image``, ``[28, 28, 1]`` pixels 0 to
    255; the image is another one for every recording.

    With ``speakers=held_out``, training hears ``george``, ``jackson`` and ``lucas``, validation
    ``nicolas``, and test ``theo`` and ``yweweler``: speech then carries little over to those who
    are tested on, and a network of both may be worse than the image alone.

    Raises:
      ValueError: when the file in the installed package is missing or is not the published one.

    References:
      Zohar Jackson and others, Free Spoken Digit Dataset, CC BY-SA 4.0. Yann LeCun, Corinna Cortes,
      Christopher Burges, The MNIST Database of Handwritten Digits, CC BY-SA 3.0. Provenance in
      ``masam_jax/data/files/README.md``.
    """
    options = AvMnistOptions() if options is None else options
    archive = read_shipped("av_mnist", _SHA256)
    names, group = archive["group_names"], archive["group"]
    labels = archive["label"].astype(np.int32)
    splitter = None
    if options.speakers == "held_out":
        splitter = functools.partial(published_split, _PARTS[group], labels, names[group])
    scale = Normalization("scalar")
    return MultimodalData(
        "av_mnist",
        {
            "audio": archive["x_audio"].astype(np.float32)[..., None],
            "image": archive["x_image"][..., None],
        },
        labels,
        10,
        {
            "audio": Modality("spectrogram", (32, 48, 1), np.float32, scale),
            "image": Modality("image", (28, 28, 1), np.uint8, scale),
        },
        splitter=splitter,
    )
