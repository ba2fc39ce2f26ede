"""Options of encoders, as a specification names them."""

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True)
class NoEncoderOptions:
    """An encoder without options of its own."""


@dataclasses.dataclass(frozen=True)
class ResNetOptions:
    """Options of ResNets.

    Attributes:
      norm: batch or group normalisation.
      channels: of the stem and the first stage; published networks have 64.
      small_stem: a 3 x 3 stem without pooling, for images of about 32 x 32.
      project: whether a dense layer brings the features to the network's width; otherwise they have
        the size of the last stage.
    """

    norm: Literal["batch", "group"] = "batch"
    channels: int = 64
    small_stem: bool = False
    project: bool = True


@dataclasses.dataclass(frozen=True)
class FeedForwardOptions:
    """Options of ``ffn``.

    Attributes:
      hidden: units of each layer before the last; None for the network's width.
      batch_norm: whether these are normalised.
    """

    hidden: int | None = None
    batch_norm: bool = True


@dataclasses.dataclass(frozen=True)
class TransformerOptions:
    """Options of the transformers.

    Attributes:
      heads: attention heads, which divide the width.
      pool: how steps become features: their mean, the first or last one, or a learned first token
        (``transformer`` has no ``first`` and ``last``, ``conv_transformer`` no ``cls``).
    """

    heads: int = 4
    pool: Literal["mean", "first", "last", "cls"] = "mean"


@dataclasses.dataclass(frozen=True)
class VisionTransformerOptions:
    """Options of ``vision_transformer``.

    Attributes:
      heads: attention heads, which divide the width.
      patch: height and width of a patch, in pixels; None for 16, of small images a quarter of each.
    """

    heads: int = 4
    patch: int | None = None


@dataclasses.dataclass(frozen=True)
class TextTransformerOptions:
    """Options of ``text_transformer``; of BERT's base model 12 heads and 12 layers.

    Attributes:
      heads: attention heads, which divide the width.
      max_length: learned positions; None for the length of the samples.
    """

    heads: int = 4
    max_length: int | None = None
