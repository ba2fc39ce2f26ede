"""Who drowns the others: shares of the logits, of the right answers, and of the gradient."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from masam_jax.core.losses import cross_entropy
from masam_jax.data.batch import Batch
from masam_jax.models import LateFusionNetwork
from masam_jax.models.contributions import (
    blank_features,
    masked_logits,
    modal_responses,
    widen,
)
from masam_jax.models.shapley import shapley_values
from masam_jax.training.batches import evaluation_batches, network_inputs, shares_samples
from masam_jax.training.predictions import Point, batch_axes, in_parts
from masam_jax.training.problem import Problem

MOST_SUBSETS = 8
"""Modalities of which all 2^M subsets are fused for Shapley values."""

# Samples of one gradient.
_GRADIENT_ROWS = 256
# A network that gets less right beyond guessing has nothing to share.
_LEAST_ANSWERS = 0.02

Shares = dict[str, np.ndarray]


def prediction_shares(problem: Problem, point: Point, indices: np.ndarray) -> tuple[Shares, Shares]:
    r"""Each modality's share of the fusion logits, and of the right answers.

    $$
    \text{share}_m = \frac{\sum_i \lVert \varphi_{m,i} \rVert}
    {\sum_{m'} \sum_i \lVert \varphi_{m',i} \rVert}
    \qquad
    \text{answers}_m = \frac{\phi_m}{\sum_{m'} \phi_{m'}}
    $$

    with the Shapley values $\varphi_{m,i}$ of the logits of sample i (`modal_responses`), less
    their mean over the classes, which no softmax sees; and $\phi_m$ of the game in which a subset
    of the modalities is worth the accuracy without the others. Of more than `MOST_SUBSETS`
    modalities, $\varphi_m$ is the modality's own part of the logits, and $\phi_m$ the mean of what
    it adds as the first and as the last of all.

    Args:
      problem: data and network.
      point: parameters ``[S, ...]`` of the network with the experiment's fusion head.
      indices: rows ``[S, n]``.

    Returns:
      Both as ``{m: float64 [S]}``, which add up to 1; the second is NaN where a network gets hardly
      more right than one that sees nothing.
    """

    def of_samples(network: LateFusionNetwork, params: Any, batch: Batch) -> dict[str, Any]:
        features = {m: network.encode(params, m, batch.inputs[m]) for m in network.modalities}
        blank = blank_features(network, params, batch.inputs)

        def hits(subset: frozenset[str]) -> jax.Array:
            logits = masked_logits(network, params, features, subset, blank)
            return _hits(logits, batch.labels)

        if len(features) > MOST_SUBSETS:
            parts, answers = network.modality_logits(params, features), _ends_of(hits, features)
        else:
            parts = modal_responses(network, params, features, blank)
            answers = shapley_values(hits, features)
        norms = {m: _spread_norm(widen(z), network.multi_label) for m, z in parts.items()}
        return {"norms": norms, "answers": answers}

    mapped = _mapped(problem, of_samples, shares_samples(problem, indices), "test")
    found = in_parts(problem, lambda batch: mapped(point, batch), indices)
    means = jax.tree.map(lambda each: each.astype(np.float64).mean(axis=1), found)
    answers = means["answers"]
    enough = np.sum(list(answers.values()), axis=0) > _LEAST_ANSWERS
    return _normalized(means["norms"]), {
        m: np.where(enough, each, np.nan) for m, each in _normalized(answers).items()
    }


def gradient_shares(problem: Problem, point: Point) -> Shares:
    """Each encoder's share of the norms of the fusion loss's gradient, ``{m: float64 [S]}``.

    Args:
      problem: data and network.
      point: as of `prediction_shares`.

    The gradient is of the mean loss of up to 256 training samples.
    """
    rows = problem.indices("train")[:, :_GRADIENT_ROWS]

    def norms(network: LateFusionNetwork, params: Any, batch: Batch) -> dict[str, jax.Array]:
        def loss(encoders: Any) -> jax.Array:
            whole = {**params, "encoders": encoders}
            features = {m: network.encode(whole, m, batch.inputs[m]) for m in network.modalities}
            return cross_entropy(network.fuse(whole, features), batch.labels)

        gradients = jax.grad(loss)(params["encoders"])
        return {
            m: jnp.sqrt(sum(jnp.sum(widen(leaf) ** 2) for leaf in jax.tree.leaves(each)))
            for m, each in gradients.items()
        }

    mapped = _mapped(problem, norms, shares_samples(problem, rows), "train")
    found = [
        problem.placement.fetch(mapped(point, batch))
        for batch, _ in evaluation_batches(problem, rows, "train")
    ]
    return _normalized(
        {m: np.stack([each[m] for each in found]).astype(np.float64).mean(axis=0) for m in found[0]}
    )


def _mapped(
    problem: Problem,
    function: Callable[[LateFusionNetwork, Any, Batch], Any],
    shared: bool,
    part: str,
) -> Callable[[Point, Batch], Any]:
    """A function of one seed's network, parameters and batch, compiled for all seeds."""
    experiment = problem.experiment

    def one(point: Point, scales: Any, batch: Batch, resident: Any) -> Any:
        network = problem.network(experiment.model.fusion).with_statistics(point.statistics)
        key = jnp.zeros(2, jnp.uint32)
        seen = network_inputs(experiment.corruption, part, resident, scales, batch, key)
        return function(network, point.params, seen)

    compiled = jax.jit(
        jax.vmap(one, in_axes=(0, 0, batch_axes(shared), None)),
        out_shardings=problem.placement.seeds,
    )
    return lambda point, batch: compiled(point, problem.statistics, batch, problem.resident)


def _hits(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """``[B]``, 1 for a right answer; of K labels, the share that is right."""
    if labels.ndim == logits.ndim:
        return ((logits >= 0) == (labels > 0)).astype(jnp.float32).mean(axis=-1)
    return (jnp.argmax(logits, axis=-1).astype(labels.dtype) == labels).astype(jnp.float32)


def _ends_of(
    value: Callable[[frozenset[str]], jax.Array], modalities: Collection[str]
) -> dict[str, jax.Array]:
    """What each adds as the first and as the last of all, averaged."""
    whole = frozenset(modalities)
    nothing, everything = value(frozenset()), value(whole)
    return {
        m: 0.5 * (value(frozenset({m})) - nothing + everything - value(whole - {m}))
        for m in sorted(whole)
    }


def _spread_norm(logits: jax.Array, multi_label: bool) -> jax.Array:
    if not multi_label:
        logits = logits - logits.mean(axis=-1, keepdims=True)
    return jnp.sqrt(jnp.sum(logits**2, axis=-1))


def _normalized(sizes: Shares) -> Shares:
    total = np.sum(list(sizes.values()), axis=0)
    # A seed in which nothing moves has no share of anything.
    with np.errstate(invalid="ignore", divide="ignore"):
        return {m: each / total for m, each in sizes.items()}
