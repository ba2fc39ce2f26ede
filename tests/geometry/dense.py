"""A small network of two encoders, and its Hessian from NumPy alone, in float64."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

LABELS = {"audio": "audio", "video": "video", "head": "other"}
SHAPES = {"audio": (6, 4), "head": (8, 3), "video": (5, 4)}


def loss_fn(params, batch):
    """Cross-entropy of tanh encoders, concatenated, under a linear head."""
    audio, video, labels = batch
    features = [jnp.tanh(audio @ params["audio"]), jnp.tanh(video @ params["video"])]
    logits = jnp.concatenate(features, axis=1) @ params["head"]
    log_probabilities = jax.nn.log_softmax(logits)
    return -jnp.take_along_axis(log_probabilities, labels[:, None], axis=1).mean()


def numpy_loss(params, batch):
    """The same in NumPy."""
    audio, video, labels = batch
    features = [np.tanh(audio @ params["audio"]), np.tanh(video @ params["video"])]
    logits = np.concatenate(features, axis=1) @ params["head"]
    normalizers = np.log(np.exp(logits).sum(axis=1))
    return np.mean(normalizers - logits[np.arange(len(labels)), labels])


def make_params(dtype=np.float32):
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=shape).astype(dtype) for name, shape in SHAPES.items()}


def make_batches(sizes=(8, 8), dtype=np.float32):
    rng = np.random.default_rng(1)
    return [
        (
            rng.normal(size=(size, 6)).astype(dtype),
            rng.normal(size=(size, 5)).astype(dtype),
            rng.integers(0, 3, size).astype(np.int32),
        )
        for size in sizes
    ]


def slices():
    """Where each leaf's numbers are in the flat vector of all."""
    ends = list(itertools.accumulate(int(np.prod(shape)) for shape in SHAPES.values()))
    return {
        name: slice(start, end) for name, start, end in zip(SHAPES, [0, *ends], ends, strict=False)
    }


def dense_hessian(params, batches, step=1e-3):
    """Second differences of the NumPy loss; the error is about 1e-6."""
    start = np.concatenate([np.asarray(params[name], np.float64).ravel() for name in SHAPES])

    def value(flat):
        tree = {name: flat[where].reshape(SHAPES[name]) for name, where in slices().items()}
        return np.mean([numpy_loss(tree, batch) for batch in batches])

    size = len(start)
    units = step * np.eye(size)
    hessian = np.empty((size, size))
    for i, j in itertools.combinations_with_replacement(range(size), 2):
        ends = ((1, 1), (1, -1), (-1, 1), (-1, -1))
        terms = [a * b * value(start + a * units[i] + b * units[j]) for a, b in ends]
        hessian[i, j] = hessian[j, i] = sum(terms) / (4 * step**2)
    return hessian
