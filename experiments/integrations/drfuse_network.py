"""A network like DrFuse in Flax Linen: what modalities share, what each has alone, and attention.

After Yao et al.: DrFuse, Learning disentangled representation for clinical multi-modal fusion with
missing modality and modal inconsistency, AAAI 2024. The encoders are small.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn


class Representation(NamedTuple):
    """A modality's features ``[B, D]``: those it has in common with others, and its own."""

    shared: jax.Array
    distinct: jax.Array


class Outputs(NamedTuple):
    """Logits ``[B, C]``, the attention ``[B, C, 3]`` of each label, and what they come from.

    Attributes:
      fusion: of the attention over all three representations.
      shared: of the representation that both modalities share.
      ehr: of what the time series alone has.
      cxr: of what the image alone has.
      attention: weights of the time series, of what is shared, and of the image.
      ehr_parts: the representation of the time series.
      cxr_parts: the representation of the image.
    """

    fusion: jax.Array
    shared: jax.Array
    ehr: jax.Array
    cxr: jax.Array
    attention: jax.Array
    ehr_parts: Representation
    cxr_parts: Representation


class EHREncoder(nn.Module):
    """One layer over the hours and their positions, then a branch for each representation."""

    width: int
    dropout: float

    @nn.compact
    def __call__(self, series: jax.Array, length: jax.Array, train: bool) -> Representation:
        """From ``series [B, T, V]`` and ``length [B]``."""
        hours = series.shape[1]
        position = self.param("position", nn.initializers.normal(0.1), (hours, self.width))
        x = nn.relu(nn.Dense(self.width)(series) + position[None])
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        observed = jnp.arange(hours, dtype=length.dtype)[None] < length[:, None]
        x = jnp.mean(x, axis=1, where=observed[..., None])
        return _branches(x, self.width)


class ImageEncoder(nn.Module):
    """A convolution with batch norm, then a branch for each representation."""

    width: int
    dropout: float

    @nn.compact
    def __call__(self, image: jax.Array, has_image: jax.Array, train: bool) -> Representation:
        """From ``image [B, H, W, 1]``; those that are missing stay out of the statistics."""
        x = nn.Conv(self.width, (3, 3), strides=2)(image)
        # A batch without images has no statistics: all of its zeros count, so that none is NaN.
        counted = (has_image | ~has_image.any())[:, None, None, None]
        norm = nn.BatchNorm(use_running_average=not train, momentum=0.9)
        x = nn.relu(norm(x, mask=counted))
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return _branches(x.reshape(*x.shape[:1], -1), self.width)


def _branches(x: jax.Array, width: int) -> Representation:
    """Of the module that calls it: a layer for each representation."""
    return Representation(nn.Dense(width, name="shared")(x), nn.Dense(width, name="distinct")(x))


class DrFuseLike(nn.Module):
    """Both encoders, one projection for what they share, and attention for each label.

    Attributes:
      conditions: C, the labels, none of which excludes another.
      width: D, of all representations.
      dropout: in both encoders, while training.
    """

    conditions: int
    width: int
    dropout: float

    def setup(self) -> None:
        """Makes the parts, each of which names its parameters."""
        self.ehr_encoder = EHREncoder(self.width, self.dropout)
        self.cxr_encoder = ImageEncoder(self.width, self.dropout)
        self.shared_projection = nn.Dense(self.width)
        self.shared_head = nn.Dense(self.conditions)
        self.ehr_head = nn.Dense(self.conditions)
        self.cxr_head = nn.Dense(self.conditions)
        self.attention = nn.Dense((2 + self.conditions) * self.width)
        self.classifier = nn.Dense(self.conditions)

    def __call__(
        self,
        series: jax.Array,
        length: jax.Array,
        image: jax.Array,
        has_image: jax.Array,
        train: bool = False,
    ) -> Outputs:
        """Everything, from ``series [B, T, V]`` and ``image [B, H, W, 1]``."""
        ehr = self.encode_ehr(series, length, train)
        cxr = self.encode_cxr(image, has_image, train)
        return self.fuse(ehr, cxr, has_image)

    def encode_ehr(self, series: jax.Array, length: jax.Array, train: bool) -> Representation:
        """The time series' representation, its shared part projected."""
        found = self.ehr_encoder(series, length, train)
        return found._replace(shared=self.shared_projection(found.shared))

    def encode_cxr(self, image: jax.Array, has_image: jax.Array, train: bool) -> Representation:
        """The image's representation, its shared part projected."""
        found = self.cxr_encoder(image, has_image, train)
        return found._replace(shared=self.shared_projection(found.shared))

    def fuse(self, ehr: Representation, cxr: Representation, has_image: jax.Array) -> Outputs:
        """The logits and the attention, from both representations."""
        paired = has_image[:, None]
        shared = jnp.where(paired, mean_probability_logit(ehr.shared, cxr.shared), ehr.shared)
        tokens = jnp.stack([ehr.distinct, shared, cxr.distinct], axis=1)
        queries, values, *keys = jnp.split(self.attention(tokens), 2 + self.conditions, axis=-1)
        there = jnp.stack([jnp.ones_like(has_image), jnp.ones_like(has_image), has_image], axis=1)
        query = jnp.mean(queries, axis=1, where=there[..., None])
        scores = jnp.einsum("bd,cbnd->bcn", query, jnp.stack(keys)) / self.width**0.5
        weights = _softmax_where(scores, there[:, None, :])
        # Label c is read off the representation that its own attention made.
        own = self.classifier(jnp.einsum("bcn,bnd->bcd", weights, values))
        return Outputs(
            fusion=jnp.diagonal(own, axis1=1, axis2=2),
            shared=self.shared_head(shared),
            ehr=self.ehr_head(ehr.distinct),
            cxr=self.cxr_head(cxr.distinct),
            attention=weights,
            ehr_parts=ehr,
            cxr_parts=cxr,
        )


def _softmax_where(scores: jax.Array, mask: jax.Array) -> jax.Array:
    # A finite number, where -inf would make the gradient NaN.
    return nn.softmax(jnp.where(mask, scores, jnp.finfo(scores.dtype).min))


def mean_probability_logit(left: jax.Array, right: jax.Array) -> jax.Array:
    """The logit of ``(sigmoid(left) + sigmoid(right)) / 2``: DrFuse's pooling of what is shared."""
    log_yes = jnp.logaddexp(nn.log_sigmoid(left), nn.log_sigmoid(right))
    log_no = jnp.logaddexp(nn.log_sigmoid(-left), nn.log_sigmoid(-right))
    return log_yes - log_no
