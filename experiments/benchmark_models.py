"""Late-fusion problems of tunable size, in plain JAX, so that only the core is measured."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from masam_jax import LateFusion

Params = Any

# 32 × 32 RGB images through three 3 × 3 convolutions.
IMAGE_SHAPE = (32, 32, 3)
CONV_CHANNELS = (16, 32, 64)
VECTOR_SIZE = 256
MLP_WIDTHS = (512, 512, 256)
NUM_CLASSES = 10


@dataclasses.dataclass(frozen=True)
class Problem:
    """A network, its loss in both forms, and one batch.

    Attributes:
      params: ``{"encoders": {modality: ...}, "fusion": ..., "heads": {modality: ...}}``.
      labels: a prefix of ``params`` that names each encoder's modality.
      late_fusion: the loss as encoders and objective; called, it is the plain ``loss_fn``.
      batch: ``(inputs {modality: [B, ...]}, targets int32 [B])``.
    """

    params: Params
    labels: Params
    late_fusion: LateFusion
    batch: tuple[dict[str, jax.Array], jax.Array]


def make_problem(encoder: str, modalities: int, batch_size: int) -> Problem:
    """A late-fusion network with ``modalities`` encoders of equal cost.

    Args:
      encoder: "mlp" or "conv".
      modalities: the number of encoders M.
      batch_size: the number of samples in the batch.

    Raises:
      ValueError: an unknown encoder.
    """
    if encoder not in _ENCODERS:
        raise ValueError(f"encoder must be one of {sorted(_ENCODERS)}, got {encoder!r}")
    init, apply, input_shape, features = _ENCODERS[encoder]
    names = [f"modality_{i}" for i in range(modalities)]
    keys = iter(jax.random.split(jax.random.key(0), 3 * modalities + 2))
    params = {
        "encoders": {m: init(next(keys)) for m in names},
        "fusion": _dense(next(keys), features * modalities, NUM_CLASSES),
        "heads": {m: _dense(next(keys), features, NUM_CLASSES) for m in names},
    }
    inputs = {m: jax.random.normal(next(keys), (batch_size, *input_shape)) for m in names}
    targets = jax.random.randint(next(keys), (batch_size,), 0, NUM_CLASSES, jnp.int32)
    return Problem(
        params=params,
        labels={"encoders": {m: m for m in names}, "fusion": "other", "heads": "other"},
        late_fusion=LateFusion({m: _encode_with(apply, m) for m in names}, _objective),
        batch=(inputs, targets),
    )


def _encode_with(apply: Callable[..., jax.Array], modality: str) -> Callable[..., jax.Array]:
    return lambda params, inputs, targets: apply(params["encoders"][modality], inputs[modality])


def _objective(
    params: Params,
    features: dict[str, jax.Array],
    inputs: dict[str, jax.Array],
    targets: jax.Array,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    def cross_entropy(logits: jax.Array) -> jax.Array:
        return optax.softmax_cross_entropy_with_integer_labels(logits, targets).mean()

    joined = jnp.concatenate([features[m] for m in sorted(features)], axis=-1)
    unimodal = {m: cross_entropy(_affine(params["heads"][m], f)) for m, f in features.items()}
    return cross_entropy(_affine(params["fusion"], joined)), unimodal


def _affine(layer: Params, x: jax.Array) -> jax.Array:
    return x @ layer["weight"] + layer["bias"][None]


def _dense(key: jax.Array, inputs: int, outputs: int) -> Params:
    weight = jax.random.normal(key, (inputs, outputs)) * (2 / inputs) ** 0.5
    return {"weight": weight, "bias": jnp.zeros(outputs)}


def _init_mlp(key: jax.Array) -> list[Params]:
    sizes = (VECTOR_SIZE, *MLP_WIDTHS)
    keys = jax.random.split(key, len(MLP_WIDTHS))
    return [_dense(k, i, o) for k, i, o in zip(keys, sizes, sizes[1:], strict=False)]


def _apply_mlp(layers: list[Params], x: jax.Array) -> jax.Array:
    for layer in layers:
        x = jax.nn.relu(_affine(layer, x))
    return x


def _init_conv(key: jax.Array) -> list[Params]:
    channels = (IMAGE_SHAPE[-1], *CONV_CHANNELS)
    keys = jax.random.split(key, len(CONV_CHANNELS))
    return [
        {
            "kernel": jax.random.normal(k, (3, 3, i, o)) * (2 / (9 * i)) ** 0.5,
            "bias": jnp.zeros(o),
        }
        for k, i, o in zip(keys, channels, channels[1:], strict=False)
    ]


def _apply_conv(layers: list[Params], x: jax.Array) -> jax.Array:
    for layer in layers:
        x = jax.lax.conv_general_dilated(
            x, layer["kernel"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        x = _halved(jax.nn.relu(x + layer["bias"][None, None, None]))
    return x.mean(axis=(1, 2))


def _halved(x: jax.Array) -> jax.Array:
    """Means over 2 × 2 squares of pixels."""
    batch, height, width, channels = x.shape
    return x.reshape(batch, height // 2, 2, width // 2, 2, channels).mean(axis=(2, 4))


_ENCODERS: dict[str, tuple[Callable[..., Any], Callable[..., jax.Array], tuple[int, ...], int]] = {
    "mlp": (_init_mlp, _apply_mlp, (VECTOR_SIZE,), MLP_WIDTHS[-1]),
    "conv": (_init_conv, _apply_conv, IMAGE_SHAPE, CONV_CHANNELS[-1]),
}
