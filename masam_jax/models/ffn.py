"""A feed-forward network with batch normalisation for tables."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from masam_jax.core.specs import check_sizes
from masam_jax.models.dropout import make_dropout
from masam_jax.models.normalization import make_norm, normalise


class FeedForwardEncoder(nnx.Module):
    """Dense layers with batch normalisation, ReLU and dropout, and a last dense layer.

    Vectors ``[B, D]``, features ``[B, width]``. Each of the ``hidden`` layers is dense, batch norm,
    ReLU, dropout; the last is dense alone. The parts are named ``dense_0, norm_0, dropout_0, …``
    and ``dense``.

    Args:
      in_features: D.
      hidden: units of the layers before the last; none, some or many.
      width: size of the features.
      batch_norm: whether the hidden layers are normalised (momentum 0.9, epsilon 1e-5). Their
        running statistics are ``nnx.BatchStat``; without it and dropout all state is parameters.
      dropout: rate after each hidden layer.
      dtype: dtype of the computation; None leaves it to inputs and parameters.
      param_dtype: dtype of the parameters.
      rngs: where initial parameters, and dropout, are drawn from.

    Raises:
      ValueError: a size below 1, or a rate outside [0, 1).
    """

    def __init__(
        self,
        in_features: int,
        hidden: tuple[int, ...] = (512,),
        width: int = 512,
        batch_norm: bool = True,
        dropout: float = 0.1,
        *,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        check_sizes(in_features=in_features, width=width)
        if any(units < 1 for units in hidden):
            raise ValueError(f"hidden is {hidden}; positive numbers are needed.")
        self._depth = len(hidden)
        self._normalized = batch_norm
        for index, units in enumerate(hidden):
            dense = nnx.Linear(
                hidden[index - 1] if index else in_features,
                units,
                dtype=dtype,
                param_dtype=param_dtype,
                rngs=rngs,
            )
            setattr(self, f"dense_{index}", dense)
            if batch_norm:
                norm = make_norm("batch", units, param_dtype=param_dtype, rngs=rngs)
                setattr(self, f"norm_{index}", norm)
            setattr(self, f"dropout_{index}", make_dropout(dropout, rngs=rngs))
        self.dense = nnx.Linear(
            hidden[-1] if hidden else in_features,
            width,
            dtype=dtype,
            param_dtype=param_dtype,
            rngs=rngs,
        )

    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Vectors ``[B, D]`` to features ``[B, width]``."""
        features = inputs
        for index in range(self._depth):
            features = getattr(self, f"dense_{index}")(features)
            if self._normalized:
                features = normalise(getattr(self, f"norm_{index}"), features)
            features = getattr(self, f"dropout_{index}")(nnx.relu(features))
        return self.dense(features)
