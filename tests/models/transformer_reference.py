"""Transformers in float64 NumPy, from their equations, and modules with random parameters."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

QKV = ("query", "key", "value")

_erf = np.vectorize(math.erf, otypes=[np.float64])


def dense(layer, x):
    return np.float64(x) @ np.float64(layer["kernel"]) + np.float64(layer["bias"])


def gelu(x):
    return x * 0.5 * (1.0 + _erf(x / math.sqrt(2.0)))


def norm(layer, x, epsilon):
    x = np.float64(x)
    mean = x.mean(axis=-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=-1, keepdims=True)
    scaled = (x - mean) / np.sqrt(variance + epsilon)
    return scaled * np.float64(layer["scale"]) + np.float64(layer["bias"])


def attention(layer, x, mask, heads):
    """One sample and head after the other; a step that is not real is no part of the softmax."""
    outputs = []
    for steps, real in zip(x, mask, strict=True):
        seen = np.flatnonzero(real) if real.any() else np.arange(len(real))
        by_head = []
        parts = [np.split(dense(layer[part], steps), heads, axis=-1) for part in QKV]
        for query, key, value in zip(*parts, strict=True):
            scores = np.exp(real.any() * query @ key[seen].T / math.sqrt(query.shape[-1]))
            by_head.append(scores / scores.sum(axis=-1, keepdims=True) @ value[seen])
        outputs.append(dense(layer["out"], np.concatenate(by_head, axis=-1)))
    return np.stack(outputs)


def block(params, x, mask, heads, *, pre_norm, epsilon):
    def feed_forward(y):
        return dense(params["dense_1"], gelu(dense(params["dense_0"], y)))

    if pre_norm:
        x = x + attention(params["attention"], norm(params["norm_0"], x, epsilon), mask, heads)
        return x + feed_forward(norm(params["norm_1"], x, epsilon))
    x = norm(params["norm_0"], x + attention(params["attention"], x, mask, heads), epsilon)
    return norm(params["norm_1"], x + feed_forward(x), epsilon)


def stack(params, x, mask, heads, *, pre_norm=True, epsilon=1e-5):
    x = np.float64(x)
    for index in range(sum(name.startswith("block_") for name in params)):
        x = block(params[f"block_{index}"], x, mask, heads, pre_norm=pre_norm, epsilon=epsilon)
    return norm(params["norm"], x, epsilon) if pre_norm else x


def with_token(token, x, mask):
    first = np.broadcast_to(np.float64(token), (len(x), *np.shape(token)))
    real = np.ones((len(x), 1), bool)
    return np.concatenate([first, x], axis=1), np.concatenate([real, mask], axis=1)


def attention_fusion(params, features, heads=4):
    """Logits of an `AttentionFusion` that sees these modalities."""
    tokens = np.stack([dense(params["project"][m], features[m]) for m in features], axis=1)
    tokens, mask = with_token(params["token"], tokens, np.ones(tokens.shape[:2], bool))
    return dense(params["dense"], stack(params["stack"], tokens, mask, heads)[:, 0])


def randomized(module, seed=7):
    """The module with all parameters drawn anew, none zero, and them as a nested dict."""
    rng = np.random.default_rng(seed)
    state = jax.tree.map(
        lambda x: jnp.asarray(rng.normal(scale=0.5, size=x.shape), x.dtype),
        nnx.state(module, nnx.Param),
    )
    nnx.update(module, state)
    return module, jax.tree.map(np.asarray, nnx.to_pure_dict(state))


def run(module, *inputs):
    """The module's forward pass, compiled; random streams move on."""
    graph, state = nnx.split(module)
    outputs, state = _run(graph, nnx.to_pure_dict(state), inputs)
    nnx.update(module, state)
    return outputs


@partial(jax.jit, static_argnums=0)
def _run(graph, state, inputs):
    module = nnx.merge(graph, state)
    outputs = module(*inputs)
    return outputs, nnx.to_pure_dict(nnx.state(module))


def gradients(module, inputs):
    """Gradients of the summed squares of the features with respect to all parameters."""
    graph, params, rest = nnx.split(module, nnx.Param, ...)
    return nnx.to_pure_dict(_gradients(graph, params, rest, inputs))


@partial(jax.jit, static_argnums=0)
def _gradients(graph, params, rest, inputs):
    return jax.grad(lambda tree: (nnx.merge(graph, tree, rest)(inputs) ** 2).sum())(params)
