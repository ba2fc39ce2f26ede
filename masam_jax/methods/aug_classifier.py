"""AUG's classifier: layers of every modality, of which some may not be given yet, and one head."""

import itertools
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp


class AugLogits(NamedTuple):
    """One modality's logits ``[B, C]``.

    Attributes:
      total: of all the layers it has, summed.
      previous: of all but the last layer given; equal to ``total`` where none was given.
      added: of the last layer given; zero where none was.
    """

    total: jax.Array
    previous: jax.Array
    added: jax.Array


def init_classifier(
    key: chex.PRNGKey, sizes: Mapping[str, int], hidden: int, num_classes: int, layers: int
) -> dict[str, Any]:
    """Kernels Glorot normal, biases zero.

    Args:
      key: PRNG key.
      sizes: modality -> the size H_m of its features.
      hidden: the width D of every layer.
      num_classes: C.
      layers: K, the layers that each modality can be given.

    Returns:
      ``{"head": {"kernel": [D, C], "bias": [C]}, "modalities": {m: {"layer": {"kernel": [H_m, D],
      "bias": [D]}, "added": {"kernel": [K, H_m, D], "bias": [K, D]}}}}``
    """
    shapes: dict[Any, tuple[int, ...]] = {"head": (hidden, num_classes)}
    for m in sorted(sizes):
        shapes |= {(m, "layer"): (sizes[m], hidden), (m, "added"): (layers, sizes[m], hidden)}
    # One draw for all of them: each compiles for seconds on CPU.
    ends = list(itertools.accumulate(math.prod(shape) for shape in shapes.values()))
    draws = jnp.split(jax.random.normal(key, (ends[-1],), jnp.float32), ends[:-1])
    parts = {
        name: _layer(draw.reshape(shape))
        for draw, (name, shape) in zip(draws, shapes.items(), strict=True)
    }
    modalities = {m: {part: parts[m, part] for part in ("layer", "added")} for m in sorted(sizes)}
    return {"head": parts["head"], "modalities": modalities}


def _layer(draw: jax.Array) -> dict[str, jax.Array]:
    """Of standard normal numbers ``[..., in, out]``."""
    scale = math.sqrt(2 / (draw.shape[-2] + draw.shape[-1]))
    return {"kernel": scale * draw, "bias": jnp.zeros_like(draw[..., 0, :])}


def classify(
    params: Mapping[str, Any], modality: str, features: jax.Array, given: jax.Array
) -> AugLogits:
    """The logits of one modality.

    Args:
      params: of `init_classifier`.
      modality: its name.
      features: ``[B, H_m]``.
      given: int32 scalar, how many of the K layers it has been given.
    """
    head, own = params["head"], params["modalities"][modality]

    def logits(hidden: jax.Array) -> jax.Array:
        scores = jax.nn.relu(hidden) @ head["kernel"]
        return scores + jnp.broadcast_to(head["bias"], scores.shape)

    layer, added = own["layer"], own["added"]
    first = logits(features @ layer["kernel"] + layer["bias"][None])
    further = logits(features[None] @ added["kernel"] + added["bias"][:, None])
    place = jnp.arange(len(further), dtype=given.dtype)
    before, last = (
        jnp.tensordot(chosen.astype(further.dtype), further, axes=1)
        for chosen in (place < given - 1, place == given - 1)
    )
    previous = first + before
    return AugLogits(previous + last, previous, last)
