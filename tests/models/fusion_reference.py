"""Fusion heads, modal responses and batch signals in float64 NumPy, from their equations."""

import itertools
import math

import numpy as np

from tests.models.transformer_reference import attention_fusion


def dense(layer, x):
    return np.float64(x) @ np.float64(layer["kernel"]) + np.float64(layer["bias"])


def concat(params, features):
    joined = np.concatenate([np.float64(features[m]) for m in sorted(features)], axis=-1)
    return dense(params["dense"], joined)


def sum_fusion(params, features):
    return sum(dense(params["dense"][m], features[m]) for m in features)


def film(params, features, conditioned=None):
    conditioned = conditioned or max(features)
    hidden = np.float64(features[conditioned])
    for m in sorted(features):
        if m != conditioned:
            out = dense(params["film"][m], features[m])
            width = hidden.shape[-1]
            hidden = (1.0 + out[:, :width]) * hidden + out[:, width:]
    return dense(params["dense"], hidden)


def gated(params, features, gated=None):
    gated = gated or max(features)
    projected = {m: dense(params["project"][m], features[m]) for m in features}
    hidden = projected[gated]
    for m in features:
        if m != gated:
            hidden = hidden / (1.0 + np.exp(-projected[m]))
    return dense(params["dense"], hidden)


FUSIONS = {
    "concat": concat,
    "sum": sum_fusion,
    "film": film,
    "gated": gated,
    "attention": attention_fusion,
}


def modality_logits(name, params, features):
    if name == "concat":
        kernel, bias = (np.float64(params["dense"][part]) for part in ("kernel", "bias"))
        ends = np.cumsum([features[m].shape[-1] for m in sorted(features)])
        blocks = np.split(kernel, ends[:-1])
        return {
            m: np.float64(features[m]) @ block + bias / len(features)
            for m, block in zip(sorted(features), blocks, strict=True)
        }
    if name == "sum":
        return {m: dense(params["dense"][m], features[m]) for m in features}
    if name == "attention":
        return {m: attention_fusion(params, {m: features[m]}) for m in features}
    return {
        m: FUSIONS[name](params, {n: f * (1.0 if n == m else 0.0) for n, f in features.items()})
        for m in features
    }


def log_softmax(logits):
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def mean_cross_entropy(logits, labels):
    return -log_softmax(logits)[np.arange(len(labels)), labels].mean()


def confidence(logits, labels):
    return np.exp(log_softmax(logits))[np.arange(len(labels)), labels].sum()


def by_orders(value, modalities):
    """Shapley values as the mean marginal contribution over all orders of arrival."""
    totals = dict.fromkeys(modalities, 0.0)
    for order in itertools.permutations(modalities):
        for place, m in enumerate(order):
            before = frozenset(order[:place])
            totals[m] = totals[m] + value(before | {m}) - value(before)
    return {m: total / math.factorial(len(modalities)) for m, total in totals.items()}


def masked(name, params, features, blank, subset):
    mixed = {
        m: np.float64(f) if m in subset else np.repeat(np.float64(blank[m]), len(f), axis=0)
        for m, f in features.items()
    }
    return FUSIONS[name](params, mixed)
