"""Flax modules as pure functions of plain dicts of arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from flax import nnx

from masam_jax.core.random_keys import seed_key, typed_key

ParamDict = dict[str, Any]


class ModuleFactory(Protocol):
    """Makes an NNX module, such as ``functools.partial(MLPEncoder, 64, width=32)``."""

    def __call__(self, *, rngs: nnx.Rngs) -> nnx.Module:
        """A new module whose parameters are drawn from ``rngs``."""


class PureModule:
    """An NNX module taken apart once: its parameters as a dict, its forward pass a function.

    Args:
      name: what errors call it.
      factory: makes the module.
      stateful: whether it may hold running statistics (``nnx.BatchStat``) and random streams
        (``nnx.RngState``, of dropout) beside parameters.

    Raises:
      ValueError: the module holds state that it may not.
    """

    def __init__(self, name: str, factory: ModuleFactory, *, stateful: bool = False):
        self._factory = factory
        abstract = nnx.eval_shape(lambda: factory(rngs=nnx.Rngs(typed_key(seed_key(0)))))
        state = nnx.state(abstract)
        _, statistics, streams, rest = nnx.filter_state(
            state, nnx.Param, nnx.BatchStat, nnx.RngState, ...
        )
        refused = {"": rest} if stateful else {"": rest, "statistics": statistics, "rng": streams}
        found = [str(key) for state in refused.values() for key in state if jax.tree.leaves(state)]
        if found:
            accepted = (
                "parameters, running statistics and random streams"
                if stateful
                else ("parameters alone")
            )
            raise ValueError(
                f"{name} holds state other than it may ({', '.join(found)}); {accepted} are"
                " accepted, for the forward pass to be a function of its arguments."
            )
        abstract.eval()
        self._eval_graph = nnx.graphdef(abstract)
        abstract.train()
        self._train_graph = nnx.graphdef(abstract)
        self._streams = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), streams)
        self.has_statistics = bool(jax.tree.leaves(statistics))
        self.is_random = bool(jax.tree.leaves(streams))

    def init(self, key: jax.Array) -> ParamDict:
        """Parameters drawn from a PRNG key."""
        return nnx.to_pure_dict(nnx.state(self._factory(rngs=nnx.Rngs(typed_key(key))), nnx.Param))

    def init_statistics(self) -> ParamDict:
        """Running statistics before the first step; empty where there are none."""
        if not self.has_statistics:
            return {}
        # They do not depend on the key, and jit drops the parameters.
        module = jax.jit(
            lambda: self._statistics_of(self._factory(rngs=nnx.Rngs(typed_key(seed_key(0)))))
        )
        return module()

    def __call__(
        self, params: ParamDict, *args: Any, statistics: ParamDict | None = None
    ) -> jax.Array:
        """The module's forward pass as it predicts: running statistics, no dropout.

        Args:
          params: the parameters.
          *args: what the module is called with.
          statistics: of the module, those before the first step when None.
        """
        return self._merge(self._eval_graph, params, statistics, None)(*args)

    def train(
        self, params: ParamDict, *args: Any, statistics: ParamDict | None, key: jax.Array | None
    ) -> tuple[jax.Array, ParamDict]:
        """The forward pass as it trains: the batch's own statistics, and dropout.

        Args:
          params: the parameters.
          *args: what the module is called with.
          statistics: the running ones, which the batch moves on.
          key: PRNG key that dropout draws from; one key gives one mask.

        Returns:
          The outputs, and the running statistics after the batch.

        Raises:
          ValueError: the module is random, and there is no key.
        """
        module = self._merge(self._train_graph, params, statistics, key)
        outputs = module(*args)
        return outputs, self._statistics_of(module)

    def modality_logits(
        self, params: ParamDict, features: Mapping[str, jax.Array]
    ) -> dict[str, jax.Array]:
        """A fusion head's logits of each modality, with these parameters."""
        return nnx.merge(self._eval_graph, params).modality_logits(features)

    def _merge(
        self, graph: Any, params: ParamDict, statistics: ParamDict | None, key: jax.Array | None
    ) -> Any:
        states: list[Any] = [params]
        if self.has_statistics:
            states.append(self.init_statistics() if statistics is None else statistics)
        if self.is_random:
            if key is None and graph is self._train_graph:
                raise ValueError("dropout needs a PRNG key where it trains, got None")
            states.append(self._random_state(key))
        return nnx.merge(graph, *states)

    def _random_state(self, key: jax.Array | None) -> Any:
        """Streams whose keys are all derived from one, at the beginning of their count."""
        leaves, structure = jax.tree.flatten(self._streams, is_leaf=lambda x: isinstance(x, tuple))
        base = typed_key(seed_key(0) if key is None else key)
        filled = [
            jax.random.fold_in(base, index)
            if jnp.issubdtype(dtype, jax.dtypes.prng_key)
            else jnp.zeros(shape, dtype)
            for index, (shape, dtype) in enumerate(leaves)
        ]
        return jax.tree.unflatten(structure, filled)

    @staticmethod
    def _statistics_of(module: nnx.Module) -> ParamDict:
        return nnx.to_pure_dict(nnx.state(module, nnx.BatchStat))
