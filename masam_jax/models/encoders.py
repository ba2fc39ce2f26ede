"""Encoders by name, made to measure for a modality's samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from flax import nnx
from jax.typing import DTypeLike

from masam_jax.core.specs import cut_specification, read_options, unknown
from masam_jax.models.conv_encoder import ConvEncoder
from masam_jax.models.conv_transformer import ConvTransformer
from masam_jax.models.encoder_options import (
    FeedForwardOptions,
    NoEncoderOptions,
    ResNetOptions,
    TextTransformerOptions,
    TransformerOptions,
    VisionTransformerOptions,
)
from masam_jax.models.ffn import FeedForwardEncoder
from masam_jax.models.mlp import MLPEncoder
from masam_jax.models.pure_module import ModuleFactory
from masam_jax.models.resnet import ResNet
from masam_jax.models.sequence_transformer import SequenceTransformer
from masam_jax.models.text_transformer import TextTransformer
from masam_jax.models.tokenizers import PatchTokenizer, SequenceTokenizer
from masam_jax.models.video_resnet import VideoResNet
from masam_jax.models.vision_transformer import VisionTransformer


class SampleShape(NamedTuple):
    """What an encoder must know of a modality's samples.

    Attributes:
      kind: ``"vector"``, ``"image"``, ``"spectrogram"``, ``"frames"``, ``"sequence"`` or
        ``"tokens"``, as of ``masam_jax.data.modality``.
      shape: of one sample (of its values or tokens).
      vocabulary_size: of tokens.
    """

    kind: str
    shape: tuple[int, ...]
    vocabulary_size: int | None = None


class EncoderSize(NamedTuple):
    """What all encoders of a network have in common.

    Attributes:
      width: size of the features.
      depth: layers of those encoders that have any number of them.
      dropout: rate, in those that have dropout.
      dtype: dtype of the computation; None leaves it to inputs and parameters.
    """

    width: int = 32
    depth: int = 2
    dropout: float = 0.0
    dtype: DTypeLike | None = None


class _Encoder(NamedTuple):
    kinds: tuple[str, ...]
    options: type
    build: Callable[[SampleShape, EncoderSize, Any], tuple[Callable[..., nnx.Module], int]]


def _mlp(sample: SampleShape, size: EncoderSize, options: Any) -> Any:
    return partial(
        MLPEncoder, sample.shape[0], size.width, size.depth, dtype=size.dtype
    ), size.width


def _ffn(sample: SampleShape, size: EncoderSize, options: FeedForwardOptions) -> Any:
    hidden = (size.width if options.hidden is None else options.hidden,) * (size.depth - 1)
    return (
        partial(
            FeedForwardEncoder,
            sample.shape[0],
            hidden,
            size.width,
            options.batch_norm,
            size.dropout,
            dtype=size.dtype,
        ),
        size.width,
    )


def _conv(sample: SampleShape, size: EncoderSize, options: Any) -> Any:
    return partial(ConvEncoder, sample.shape[-1], size.width, dtype=size.dtype), size.width


def _resnet(layers: int) -> Callable[[SampleShape, EncoderSize, ResNetOptions], Any]:
    def build(sample: SampleShape, size: EncoderSize, options: ResNetOptions) -> Any:
        kind = VideoResNet if sample.kind == "frames" else ResNet
        last = options.channels * 8 * (4 if layers == 50 else 1)
        width = size.width if options.project else None
        return (
            partial(
                kind,
                layers,
                sample.shape[-1],
                width=width,
                norm=options.norm,
                groups=_groups(options.channels),
                small_stem=options.small_stem,
                base_channels=options.channels,
                dtype=size.dtype,
            ),
            width or last,
        )

    return build


def _groups(channels: int) -> int:
    """The largest divisor of the channels that is at most 32."""
    return next(groups for groups in range(min(32, channels), 0, -1) if channels % groups == 0)


def _transformer(kind: Any) -> Callable[[SampleShape, EncoderSize, TransformerOptions], Any]:
    def build(sample: SampleShape, size: EncoderSize, options: TransformerOptions) -> Any:
        length, features = sample.shape
        return (
            partial(
                kind,
                features,
                size.width,
                size.depth,
                options.heads,
                length,
                size.dropout,
                pool=options.pool,
                dtype=size.dtype,
            ),
            size.width,
        )

    return build


def _text_transformer(
    sample: SampleShape, size: EncoderSize, options: TextTransformerOptions
) -> Any:
    return (
        partial(
            TextTransformer,
            sample.vocabulary_size or 1,
            size.width,
            size.depth,
            options.heads,
            sample.shape[0] if options.max_length is None else options.max_length,
            size.dropout,
            dtype=size.dtype,
        ),
        size.width,
    )


def _vision_transformer(
    sample: SampleShape, size: EncoderSize, options: VisionTransformerOptions
) -> Any:
    height, columns, channels = sample.shape
    side = options.patch
    patch = _patch_of(height, columns) if side is None else (side, side)
    return (
        partial(
            VisionTransformer,
            channels,
            (height, columns),
            size.width,
            size.depth,
            options.heads,
            patch,
            size.dropout,
            dtype=size.dtype,
        ),
        size.width,
    )


def _patch_of(height: int, columns: int) -> tuple[int, int]:
    """16 x 16 pixels, of small images fewer, so that there are 4 x 4 patches at least."""
    return max(1, min(16, height // 4)), max(1, min(16, columns // 4))


_FORMS = {
    **dict.fromkeys(("image", "spectrogram"), "[H, W, C]"),
    "vector": "[D]",
    "frames": "[T, H, W, C]",
    "sequence": "[T, D]",
    "tokens": "[L]",
}
_PICTURES = ("image", "spectrogram")
_ENCODERS: dict[str, _Encoder] = {
    "mlp": _Encoder(("vector",), NoEncoderOptions, _mlp),
    "ffn": _Encoder(("vector",), FeedForwardOptions, _ffn),
    "conv": _Encoder(_PICTURES, NoEncoderOptions, _conv),
    **{
        f"resnet{layers}": _Encoder((*_PICTURES, "frames"), ResNetOptions, _resnet(layers))
        for layers in (18, 34, 50)
    },
    "transformer": _Encoder(("sequence",), TransformerOptions, _transformer(SequenceTransformer)),
    "conv_transformer": _Encoder(("sequence",), TransformerOptions, _transformer(ConvTransformer)),
    "vision_transformer": _Encoder(_PICTURES, VisionTransformerOptions, _vision_transformer),
    "text_transformer": _Encoder(("tokens",), TextTransformerOptions, _text_transformer),
}

ENCODERS: Mapping[str, tuple[str, ...]] = {name: entry.kinds for name, entry in _ENCODERS.items()}
"""Names of encoders, and the kinds of samples that each takes."""

DEFAULT_ENCODERS: Mapping[str, str] = {
    "vector": "mlp",
    "image": "conv",
    "spectrogram": "conv",
    "frames": "resnet18",
    "sequence": "transformer",
    "tokens": "text_transformer",
}
"""The encoder of each kind of samples where none is asked for."""


def make_encoder(
    modality: str, sample: SampleShape, size: EncoderSize, spec: str | None = None
) -> tuple[ModuleFactory, int]:
    """An encoder for a modality.

    Args:
      modality: its name, for errors.
      sample: what its samples look like.
      size: width, depth, dropout and dtype.
      spec: ``NAME[:OPTION=VALUE,...]``, as in ``"resnet18:norm=group"``; by default the one of
        `DEFAULT_ENCODERS`.

    Returns:
      A factory for `LateFusionNetwork`, and the size of its features.

    Raises:
      ValueError: an unknown encoder or option (with the nearest name), one that does not take such
        samples, or sizes that do not fit.
    """
    name, text = cut_specification(spec or DEFAULT_ENCODERS[sample.kind])
    if name not in _ENCODERS:
        raise ValueError(f"modality {modality!r}: {unknown('encoder', name, ENCODERS)}")
    entry = _ENCODERS[name]
    if sample.kind not in entry.kinds:
        fitting = [n for n, kinds in ENCODERS.items() if sample.kind in kinds]
        raise ValueError(
            f"modality {modality!r} is of kind {sample.kind!r}, which the encoder {name!r} does not"
            f" take; {', '.join(fitting)} do."
        )
    form = _FORMS[sample.kind]
    if len(sample.shape) != form.count(",") + 1:
        raise ValueError(
            f"modality {modality!r} has samples of shape {sample.shape}; of kind {sample.kind!r}"
            f" they are {form}."
        )
    options = read_options(entry.options(), text, f"encoder {spec!r} of {modality!r}")
    factory, width = entry.build(sample, size, options)
    return factory, width


def make_tokenizer(
    modality: str, sample: SampleShape, width: int, dtype: DTypeLike | None = None
) -> ModuleFactory:
    """The tokenizer of a modality, by the kind of its samples.

    A vector is one token; images and spectrograms are cut into patches of 16 x 16, small ones into
    at least 4 x 4 patches; of a sequence, each step is a token.

    Args:
      modality: its name, for errors.
      sample: what its samples look like.
      width: size of the tokens.
      dtype: dtype of the computation.

    Raises:
      ValueError: there is none for such samples.
    """
    if sample.kind == "vector":
        return partial(SequenceTokenizer, sample.shape[0], width, dtype=dtype)
    if sample.kind == "sequence":
        length, features = sample.shape
        return partial(SequenceTokenizer, features, width, length, dtype=dtype)
    if sample.kind in ("image", "spectrogram"):
        height, columns, channels = sample.shape
        patch = _patch_of(height, columns)
        return partial(PatchTokenizer, channels, (height, columns), width, patch, dtype=dtype)
    raise ValueError(
        f"modality {modality!r} is of kind {sample.kind!r}, for which there is no tokenizer;"
        " vector, sequence, image and spectrogram have one."
    )
