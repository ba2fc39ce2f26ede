"""A network like MedFuse in Flax NNX: an LSTM over the modalities that a patient has.

After Hayat, Geras, Shamout: MedFuse, Multi-modal fusion with clinical time-series data and chest
X-ray images, MLHC 2022. The encoders are small, and the image's is no ResNet.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx


class Logits(NamedTuple):
    """Logits ``[B, C]`` of the fusion and of each encoder's own head."""

    fusion: jax.Array
    ehr: jax.Array
    cxr: jax.Array


class EHREncoder(nnx.Module):
    """An LSTM over the hours; its state at the end of the series ``[B, width]``."""

    def __init__(self, variables: int, width: int, dropout: float, *, rngs: nnx.Rngs):
        self.lstm = nnx.RNN(nnx.OptimizedLSTMCell(variables, width, rngs=rngs))
        self.dropout = nnx.Dropout(dropout)

    def __call__(
        self, series: jax.Array, length: jax.Array, *, train: bool, rngs: nnx.Rngs | None = None
    ) -> jax.Array:
        """From ``series [B, T, V]`` and ``length [B]``."""
        (_, last), _ = self.lstm(series, seq_lengths=length, return_carry=True)
        return self.dropout(last, deterministic=not train, rngs=rngs)


class ImageEncoder(nnx.Module):
    """Two convolutions with batch norm, flattened: ``[B, 2 width (H / 4) (W / 4)]``."""

    def __init__(self, width: int, dropout: float, *, rngs: nnx.Rngs):
        self.first = nnx.Conv(1, width, (3, 3), strides=2, rngs=rngs)
        self.norm = nnx.BatchNorm(width, momentum=0.9, rngs=rngs)
        self.second = nnx.Conv(width, 2 * width, (3, 3), strides=2, rngs=rngs)
        self.dropout = nnx.Dropout(dropout)

    def __call__(
        self, image: jax.Array, has_image: jax.Array, *, train: bool, rngs: nnx.Rngs | None = None
    ) -> jax.Array:
        """From ``image [B, H, W, 1]``; those that are missing stay out of the statistics."""
        x = self.first(image)
        # A batch without images has no statistics: all of its zeros count, so that none is NaN.
        counted = has_image | ~has_image.any()
        x = self.norm(x, use_running_average=not train, mask=counted[:, None, None, None])
        x = nnx.relu(self.second(nnx.relu(x)))
        x = x.reshape(*x.shape[:1], -1)
        return self.dropout(x, deterministic=not train, rngs=rngs)


class MedFuseLike(nnx.Module):
    """Time series first, then the image where there is one, through an LSTM to the classifier.

    Args:
      variables: V, variables of the time series.
      image_size: H = W, pixels of the image's side; a multiple of 4.
      conditions: C, the labels, none of which excludes another.
      width: of the LSTMs, and of the first convolution.
      dropout: the share of each encoder's outputs that is dropped while training.
      rngs: for the initial parameters.
    """

    def __init__(
        self,
        *,
        variables: int,
        image_size: int,
        conditions: int,
        width: int,
        dropout: float,
        rngs: nnx.Rngs,
    ):
        image_features = 2 * width * (image_size // 4) ** 2
        self.ehr_encoder = EHREncoder(variables, width, dropout, rngs=rngs)
        self.cxr_encoder = ImageEncoder(width, dropout, rngs=rngs)
        self.ehr_head = nnx.Linear(width, conditions, rngs=rngs)
        self.cxr_head = nnx.Linear(image_features, conditions, rngs=rngs)
        self.projection = nnx.Linear(image_features, width, rngs=rngs)
        self.fusion_lstm = nnx.RNN(nnx.OptimizedLSTMCell(width, width, rngs=rngs))
        self.classifier = nnx.Linear(width, conditions, rngs=rngs)

    def __call__(
        self,
        series: jax.Array,
        length: jax.Array,
        image: jax.Array,
        has_image: jax.Array,
        *,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> Logits:
        """The logits of all heads."""
        ehr = self.ehr_encoder(series, length, train=train, rngs=rngs)
        cxr = self.cxr_encoder(image, has_image, train=train, rngs=rngs)
        return self.predict(ehr, cxr, has_image)

    def predict(self, ehr: jax.Array, cxr: jax.Array, has_image: jax.Array) -> Logits:
        """The logits of all heads, from both encoders' features."""
        sequence = jnp.stack([ehr, self.projection(cxr)], axis=1)
        length = jnp.where(has_image, 2, 1)
        (_, last), _ = self.fusion_lstm(sequence, seq_lengths=length, return_carry=True)
        return Logits(self.classifier(last), self.ehr_head(ehr), self.cxr_head(cxr))
