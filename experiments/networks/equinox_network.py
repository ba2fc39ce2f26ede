"""A network of Equinox modules, with a fusion head of its own.

masam compare --network experiments.networks.equinox_network:make_network

Modules are taken apart into a list of arrays, which any checkpoint can hold, and put together.
"""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from masam_jax.data import Modality
from masam_jax.models import LateFusionNetwork, PureEncoder, PureFusion

WIDTH = 24


def taken_apart(
    make: Callable[[Any], Any],
) -> tuple[Callable[[Any], list[jax.Array]], Callable[[list[jax.Array]], Any]]:
    """``key -> arrays`` and ``arrays -> module`` of a module that ``make(key)`` makes."""
    example = eqx.filter_eval_shape(make, jax.random.key(0))
    shapes, rest = eqx.partition(example, lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct))
    structure = jax.tree.structure(shapes)

    def arrays(key: Any) -> list[jax.Array]:
        return jax.tree.leaves(eqx.filter(make(key), eqx.is_array))

    def module(leaves: list[jax.Array]) -> Any:
        return eqx.combine(jax.tree.unflatten(structure, leaves), rest)

    return arrays, module


def encoder_of(size: int) -> PureEncoder:
    """Vectors ``[B, D]`` to features ``[B, 24]``; an Equinox module takes one sample."""
    arrays, module = taken_apart(
        lambda key: eqx.nn.MLP(size, WIDTH, WIDTH, depth=1, activation=jax.nn.gelu, key=key)
    )
    return PureEncoder(init=arrays, apply=lambda leaves, x: jax.vmap(module(leaves))(x))


def product_fusion(num_classes: int) -> PureFusion:
    """A head on the features' sum and product."""
    arrays, module = taken_apart(lambda key: eqx.nn.Linear(2 * WIDTH, num_classes, key=key))

    def apply(leaves: list[jax.Array], features: Mapping[str, jax.Array]) -> jax.Array:
        stacked = jnp.stack([features[m] for m in sorted(features)])
        both = jnp.concatenate([stacked.sum(0), jnp.tanh(stacked).prod(0)], axis=-1)
        return jax.vmap(module(leaves))(both)

    return PureFusion(init=arrays, apply=apply)


def make_network(specs: Mapping[str, Modality], num_classes: int) -> LateFusionNetwork:
    """An encoder for each modality, and that head."""
    encoders = {m: encoder_of(spec.shape[0]) for m, spec in specs.items()}
    features = dict.fromkeys(specs, WIDTH)
    return LateFusionNetwork(encoders, features, num_classes, fusion=product_fusion(num_classes))
