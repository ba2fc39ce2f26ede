"""What PMR adds to the fusion loss of given features, and how its prototypes move."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from masam_jax.methods.pmr import PmrObjective, PmrState
from tests.core.reference_network import Array
from tests.methods.reference_objective import CLASSES, SIZE, ReferenceNetwork


def make_state(
    prototypes: Mapping[str, Array], *, known: Any = True, step: int = 1, dtype: Any = jnp.float32
) -> PmrState:
    arrays = {m: jnp.asarray(c, dtype) for m, c in prototypes.items()}
    return PmrState(
        prototypes=arrays,
        known=jnp.broadcast_to(jnp.asarray(known), CLASSES),
        sums=jax.tree.map(jnp.zeros_like, arrays),
        counts=jnp.zeros(CLASSES, dtype),
        step=jnp.int32(step),
        report={},
    )


def terms(
    objective: PmrObjective, features: Mapping[str, Array], labels: Array, state: PmrState
) -> tuple[jax.Array, Any]:
    """What PMR adds to the fusion loss, and its gradient in the features."""
    arrays = {m: jnp.asarray(f, state.counts.dtype) for m, f in features.items()}
    return _terms_of_arrays(objective, arrays, jnp.asarray(labels), state)


@functools.partial(jax.jit, static_argnames="objective")
def _terms_of_arrays(
    objective: PmrObjective, features: dict[str, jax.Array], labels: jax.Array, state: PmrState
) -> tuple[jax.Array, Any]:
    network = ReferenceNetwork(*features)
    zero = jnp.zeros((SIZE, CLASSES), state.counts.dtype)
    params = {
        "fusion": {"w": jnp.tile(zero, (len(features), 1)), "b": zero[0]},
        "heads": {m: {"w": zero, "b": zero[0]} for m in features},
    }

    def added(features: Any) -> jax.Array:
        outcome = objective.losses(network, params, features, labels, state)
        return outcome.fusion - outcome.unimodal[network.modalities[0]]

    return jax.value_and_grad(added)(features)


advance = functools.partial(jax.jit, static_argnames="objective")(
    lambda objective, state, observed: objective.advance(state, observed)
)


def draw(seed: int, *modalities: str, size: int = 5) -> Any:
    generator = np.random.default_rng(seed)
    prototypes = {m: generator.standard_normal((CLASSES, SIZE)) for m in modalities}
    labels = generator.integers(0, CLASSES, size).astype(np.int32)
    # The first modality lies near its prototypes, the others further and further off.
    features = {
        m: prototypes[m][labels] + (0.3 + i) * generator.standard_normal((size, SIZE))
        for i, m in enumerate(modalities)
    }
    return features, prototypes, labels
