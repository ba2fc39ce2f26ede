"""Encoders and fusion heads of any library, as two functions: to draw parameters, to use them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from masam_jax.core.random_keys import typed_key
from masam_jax.models.pure_module import ModuleFactory, ParamDict, PureModule


class PureEncoder(NamedTuple):
    """An encoder as two pure functions, for `LateFusionNetwork`: of Linen, Equinox, or plain JAX.

    Encoders with dropout or running statistics are NNX modules; ``flax.nnx.bridge.ToNNX`` makes one
    of a Linen module.

    Attributes:
      init: ``key -> params``, dicts, lists or tuples of arrays.
      apply: ``(params, inputs [B, …]) -> features [B, H_m]``.

    Examples:
      >>> import jax.numpy as jnp
      >>> from masam_jax.models import LateFusionNetwork
      >>> linear = PureEncoder(
      ...     init=lambda key: {"w": jax.random.normal(key, (5, 8))},
      ...     apply=lambda params, x: jnp.tanh(x @ params["w"]),
      ... )
      >>> network = LateFusionNetwork({"a": linear, "b": linear}, {"a": 8, "b": 8}, num_classes=3)
      >>> params = network.init(jax.random.key(0))
      >>> network.apply(params, {"a": jnp.zeros((2, 5)), "b": jnp.zeros((2, 5))})[0].shape
      (2, 3)
    """

    init: Callable[[jax.Array], Any]
    apply: Callable[[Any, Any], jax.Array]


class PureFusion(NamedTuple):
    """A fusion head as two pure functions, for `LateFusionNetwork`.

    Attributes:
      init: ``key -> params``, dicts, lists or tuples of arrays.
      apply: ``(params, {m: features [B, H_m]}) -> logits [B, C]``.
    """

    init: Callable[[jax.Array], Any]
    apply: Callable[[Any, Mapping[str, jax.Array]], jax.Array]


class PureFunctions:
    """Those two, used as a `PureModule` is.

    Args:
      functions: the encoder or fusion head.
      features: ``{m: H_m}`` of a fusion head; None of an encoder.
    """

    has_statistics = False
    is_random = False

    def __init__(
        self, functions: PureEncoder | PureFusion, features: Mapping[str, int] | None = None
    ):
        self._functions = functions
        self._features = features

    def init(self, key: jax.Array) -> Any:
        """Parameters drawn from a PRNG key."""
        return self._functions.init(typed_key(key))

    def init_statistics(self) -> ParamDict:
        """There are none."""
        return {}

    def __call__(self, params: Any, inputs: Any, *, statistics: ParamDict | None = None) -> Any:
        """The forward pass."""
        del statistics
        return self._functions.apply(params, inputs)

    def train(
        self, params: Any, inputs: Any, *, statistics: ParamDict | None, key: jax.Array | None
    ) -> tuple[jax.Array, ParamDict]:
        """The forward pass, which is the same where it trains."""
        del statistics, key
        return self._functions.apply(params, inputs), {}

    def modality_logits(
        self, params: Any, features: Mapping[str, jax.Array]
    ) -> dict[str, jax.Array]:
        """A fusion head's logits ``{m: [B, C]}`` where all other features are zero."""
        some = next(iter(features.values()))
        zeros = {
            m: jnp.zeros((*some.shape[:-1], size), some.dtype)
            for m, size in (self._features or {}).items()
        }
        return {m: self._functions.apply(params, {**zeros, m: f}) for m, f in features.items()}


def taken_apart(name: str, encoder: ModuleFactory | PureEncoder) -> PureModule | PureFunctions:
    """An encoder's parameters and forward pass, whatever it is made of.

    Args:
      name: what errors call it.
      encoder: a factory of an NNX module, or pure functions.

    Raises:
      ValueError: the module holds state that it may not.
    """
    if isinstance(encoder, PureEncoder):
        return PureFunctions(encoder)
    return PureModule(name, encoder, stateful=True)
