"""Relative flatness: curvature that rescaling the parameters does not change."""

from collections.abc import Iterable
from typing import Any, Literal

import chex
import jax
import jax.numpy as jnp
import optax

from masam_jax.core.partition import Labels
from masam_jax.core.random_keys import typed_key
from masam_jax.core.specs import check_choice, check_number, check_sizes
from masam_jax.geometry.derivatives import LossFn, Positions
from masam_jax.geometry.estimate import Estimate
from masam_jax.geometry.hutchinson import Spread, hutchinson, with_sum
from masam_jax.geometry.mean_loss import MeanLoss, as_vector
from masam_jax.geometry.parts import parts_of


def relative_flatness(
    loss_fn: LossFn,
    params: optax.Params,
    batches: Iterable[Any],
    *,
    labels: Labels | None = None,
    key: chex.PRNGKey,
    per: Literal["partition", "layer", "neuron"] = "partition",
    relative_error: float = 0.05,
    max_samples: int = 1000,
    at_once: int = 4,
) -> dict[str, Estimate]:
    r"""Estimates the Hessian's trace times the squared norm of the parameters; small is flat.

    The trace alone falls where weights grow without changing the function, as they may in front of
    a normalisation; its product with the squared norm does not. Three such products:

    - "partition": $\operatorname{tr}(H_{mm}) \|\theta_m\|^2$, which scaling the whole partition
      leaves as it is.
    - "layer": $\sum_l \operatorname{tr}(H_{ll}) \|\theta_l\|^2$ over the arrays of the
      partition, which scaling one layer up and the next one down leaves as it is, too.
    - "neuron": Petzka et al.'s relative flatness
      $\sum_{s,s'} \langle w_s, w_{s'} \rangle \operatorname{tr}(H_{s,s'})$, with the weights
      $w_s$ of neuron s of a layer, and $H_{s,s'}$ the second derivatives by $w_s$ and $w_{s'}$;
      summed over layers, where they take one. Biases and other arrays of fewer than two axes are
      left out. The last axis of an array is that of neurons, as Flax has it.

    Hutchinson's estimator gives the last two as it does the trace, from vectors with the covariance
    that weighs the Hessian so.

    Args:
      loss_fn: as for `hessian_trace`, deterministic.
      params: the parameters.
      batches: an iterable of pytrees, read anew for every ``at_once`` vectors.
      labels: whose parameter is whose; None for the whole alone.
      key: PRNG key.
      per: which of the three.
      relative_error: the standard error over the estimate at which to stop.
      max_samples: at most so many vectors of a part.
      at_once: how many vectors are kept in memory.

    Returns:
      ``{"all": …, modality: …}``, and ``"other"``, as from `hessian_trace`. ``"all"`` is the sum of
      the parts', but with ``per="partition"``, where the whole is one.

    Raises:
      TypeError: the loss is no real scalar.
      ValueError: as for `hessian_trace`.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> from masam_jax.geometry import relative_flatness
      >>> def loss_fn(params, batch):  # the same function of any params with the same product
      ...     return (params["first"] * params["second"] - 3.0) ** 2
      >>> for scale in (1.0, 10.0):
      ...     params = {"first": jnp.asarray(scale), "second": jnp.asarray(2.0 / scale)}
      ...     found = relative_flatness(loss_fn, params, [None], key=jax.random.key(0), per="layer")
      ...     print(round(found["all"].mean, 3))
      16.0
      16.0

    References:
      Petzka, Kamp, Adilova, Sminchisescu and Boley, Relative flatness and generalization, NeurIPS
      2021. https://arxiv.org/abs/2001.00939
    """
    check_choice("per", per, ("partition", "layer", "neuron"))
    check_number("relative_error", relative_error, "(0, inf)")
    check_number("max_samples", max_samples, "[2, inf)", whole=True)
    check_sizes(at_once=at_once)
    mean_loss = MeanLoss(loss_fn, params, batches)
    parts = parts_of(labels, mean_loss.params)
    spreads = {"layer": _by_layers, "neuron": _by_neurons}
    estimates = hutchinson(
        mean_loss,
        parts,
        typed_key(key),
        relative_error=relative_error,
        max_samples=max_samples,
        at_once=at_once,
        spread={name: spreads[per](mean_loss, each) for name, each in parts.items()}
        if per in spreads
        else None,
    )
    found = with_sum(estimates, mean_loss, relative_error)
    if per == "partition":
        return {name: trace.scaled(trace.norm**2) for name, trace in found.items()}
    return found


def _by_layers(mean_loss: MeanLoss, positions: Positions) -> Spread:
    """Signs times the norm of the array that they belong to."""
    leaves = jax.tree.leaves(mean_loss.params)
    dtype = mean_loss.dtype
    norms = [jnp.full(leaves[i].size, mean_loss.norm((i,)), dtype) for i in positions]
    lengths = as_vector(norms, dtype)
    return Spread(lengths.size, lambda signs: lengths * signs)


def _by_neurons(mean_loss: MeanLoss, positions: Positions) -> Spread:
    """``Z R`` of signs Z ``[inputs, r]``, with ``RᵀR = WᵀW`` of weights W ``[inputs, neurons]``."""
    leaves = jax.tree.leaves(mean_loss.params)
    own = [leaves[i].astype(mean_loss.dtype) for i in positions]
    factors = [_factor(leaf) if leaf.ndim >= 2 else None for leaf in own]
    counts = [
        0 if factor is None else leaf.size // leaf.shape[-1] * factor.shape[0]
        for leaf, factor in zip(own, factors, strict=True)
    ]

    def apply(signs: jax.Array) -> jax.Array:
        found, start = [], 0
        for leaf, factor, count in zip(own, factors, counts, strict=True):
            if factor is None:
                found.append(jnp.zeros_like(leaf))
            else:
                part = signs[start : start + count].reshape(-1, factor.shape[0])
                found.append(part @ factor)
            start += count
        return as_vector(found, mean_loss.dtype)

    return Spread(sum(counts), apply)


def _factor(weights: jax.Array) -> jax.Array:
    return jnp.linalg.qr(weights.reshape(-1, weights.shape[-1]), mode="r")
