"""Weights of a ResNet under timm's names, made by NumPy alone.

The names and shapes are written from timm's `resnet18`, `resnet34` and `resnet50` (`state_dict()`),
and `record_resnet.py` loads them there strictly.
"""

import hashlib

import numpy as np

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
IMAGES = (2, 64, 64, 3)


def uniform(name, shape, low, high):
    """Float32 ``shape``, the same on every machine: raw words of PCG64 seeded by the name."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    words = np.random.PCG64(np.random.SeedSequence(seed)).random_raw(int(np.prod(shape)))
    fractions = (words >> np.uint64(11)) * 2.0**-53
    return (low + (high - low) * fractions).reshape(shape).astype(np.float32)


def resnet_weights(depth, in_channels=3, base=64):
    """Tensors by name: kernels of unit gain, and normalisations that are not the identity."""
    tensors = {}

    def conv(name, outputs, inputs, size):
        limit = np.sqrt(6.0 / (inputs * size * size))
        shape = (outputs, inputs, size, size)
        tensors[f"{name}.weight"] = uniform(f"{name}.weight", shape, -limit, limit)

    def norm(name, channels):
        for value, low, high in (
            ("weight", 0.3, 0.8),
            ("bias", -0.3, 0.3),
            ("running_mean", -0.3, 0.3),
            ("running_var", 0.5, 1.5),
        ):
            tensors[f"{name}.{value}"] = uniform(f"{name}.{value}", (channels,), low, high)
        tensors[f"{name}.num_batches_tracked"] = np.asarray(7, np.int64)

    conv("conv1", base, in_channels, 7)
    norm("bn1", base)
    inputs = base
    for stage, blocks in enumerate(BLOCKS[depth]):
        channels = base * 2**stage
        outputs = channels * (4 if depth == 50 else 1)
        for block in range(blocks):
            prefix = f"layer{stage + 1}.{block}"
            if depth == 50:
                layers = ((channels, inputs, 1), (channels, channels, 3), (outputs, channels, 1))
            else:
                layers = ((channels, inputs, 3), (channels, channels, 3))
            for index, layer in enumerate(layers):
                conv(f"{prefix}.conv{index + 1}", *layer)
                norm(f"{prefix}.bn{index + 1}", layer[0])
            if block == 0 and (stage or inputs != outputs):
                conv(f"{prefix}.downsample.0", outputs, inputs, 1)
                norm(f"{prefix}.downsample.1", outputs)
            inputs = outputs
    return tensors


def images():
    """The recorded outputs' inputs, ``[B, H, W, C]``."""
    return uniform("images", IMAGES, -2.0, 2.0)
