"""Every encoder, small, with a batch for it."""

from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from masam_jax.models import (
    ConvEncoder,
    ConvTransformer,
    FeedForwardEncoder,
    MLPEncoder,
    PatchTokenizer,
    ResNet,
    SequenceTokenizer,
    SequenceTransformer,
    TextTransformer,
    VideoResNet,
    VisionTransformer,
)

BATCH = 4
MASK = jnp.asarray(np.arange(5) < np.asarray([5, 3, 1, 4])[:, None])


class SmallEncoder(NamedTuple):
    """A factory, inputs, and how many dropouts and batch normalisations are inside."""

    factory: partial
    inputs: object
    dropouts: int = 0
    batch_norms: int = 0


def _normal(*shape):
    shape = (BATCH, *shape)
    return jnp.asarray(np.random.default_rng(len(shape)).normal(size=shape), jnp.float32)


VALUES = {"values": _normal(5, 3), "mask": MASK}
TOKENS = {
    "tokens": jnp.asarray(np.random.default_rng(0).integers(0, 11, size=(BATCH, 5)), jnp.int32),
    "mask": MASK,
}
IMAGES = _normal(8, 8, 2)

# A block has three dropouts, and there is one after the positions.
ENCODERS = {
    "mlp": SmallEncoder(partial(MLPEncoder, 3, 6), _normal(3)),
    "conv": SmallEncoder(partial(ConvEncoder, 2, 6, (4, 4), groups=2), IMAGES),
    "ffn": SmallEncoder(partial(FeedForwardEncoder, 3, (9, 8), 6, dropout=0.5), _normal(3), 2, 2),
    "batch_resnet": SmallEncoder(partial(ResNet, 18, 2, base_channels=2), IMAGES, 0, 20),
    "video_resnet": SmallEncoder(
        partial(VideoResNet, 18, 2, base_channels=2, norm="group", groups=1, width=6),
        _normal(2, 8, 8, 2),
    ),
    "sequence": SmallEncoder(
        partial(SequenceTransformer, 3, 6, 1, 2, 7, dropout=0.5, pool="cls"), VALUES, 4
    ),
    "conv_transformer": SmallEncoder(
        partial(ConvTransformer, 3, 6, 1, 2, 7, dropout=0.5), VALUES, 4
    ),
    "text": SmallEncoder(partial(TextTransformer, 11, 6, 1, 2, 7, dropout=0.5), TOKENS, 4),
    "vision_transformer": SmallEncoder(
        partial(VisionTransformer, 2, (8, 8), 6, 1, 2, (4, 4), dropout=0.5), IMAGES, 4
    ),
    "patches": SmallEncoder(partial(PatchTokenizer, 2, (8, 8), 6, (4, 4)), IMAGES),
    "steps": SmallEncoder(partial(SequenceTokenizer, 3, 6, 7), VALUES),
}
