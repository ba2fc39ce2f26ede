"""Flax modules as pure functions of a plain dict of arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import jax
from flax import nnx

Params = dict[str, Any]


class ModuleFactory(Protocol):
    """Makes an NNX module, such as ``functools.partial(MLPEncoder, 64, width=32)``."""

    def __call__(self, *, rngs: nnx.Rngs) -> nnx.Module:
        """A new module whose parameters are drawn from ``rngs``."""


class PureModule:
    """An NNX module taken apart once: its parameters as a dict, its forward pass a function.

    Args:
      name: what errors call it.
      factory: makes the module.

    Raises:
      ValueError: the module holds state other than ``nnx.Param``.
    """

    def __init__(self, name: str, factory: ModuleFactory):
        self._factory = factory
        abstract = nnx.eval_shape(lambda: factory(rngs=nnx.Rngs(jax.random.key(0))))
        self._graph = nnx.graphdef(abstract)
        _, rest = nnx.state(abstract, nnx.Param, ...)
        if jax.tree.leaves(rest):
            raise ValueError(
                f"{name} holds state other than nnx.Param ({', '.join(map(str, rest))}), such as "
                "running statistics or a random stream; parameters alone are accepted, for the "
                "forward pass to be a function of parameters and inputs."
            )

    def init(self, key: jax.Array) -> Params:
        """Parameters drawn from a PRNG key."""
        return nnx.to_pure_dict(nnx.state(self._factory(rngs=nnx.Rngs(key)), nnx.Param))

    def __call__(self, params: Params, *args: Any) -> jax.Array:
        """The module's forward pass with these parameters."""
        return nnx.merge(self._graph, params)(*args)

    def modality_logits(
        self, params: Params, features: Mapping[str, jax.Array]
    ) -> dict[str, jax.Array]:
        """A fusion head's logits of each modality, with these parameters."""
        return nnx.merge(self._graph, params).modality_logits(features)
