"""Layers of the integrated networks in float64 NumPy, from their Flax parameters."""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def affine(layer, x):
    return x @ np.asarray(layer["kernel"], np.float64) + np.asarray(layer["bias"], np.float64)


def convolution(layer, image):
    """3 x 3 with stride 2, an even size halved: its zeros stand behind the last pixel."""
    kernel, bias = (np.asarray(layer[name], np.float64) for name in ("kernel", "bias"))
    padded = np.pad(np.asarray(image, np.float64), ((0, 0), (0, 1), (0, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))[:, ::2, ::2]
    return np.einsum("nijchw,hwcd->nijd", windows, kernel) + bias


def lstm(cell, sequence):
    """The last state of an LSTM whose gates are i, f, g, o, from ``sequence [T, D]``."""
    kernel = np.asarray(cell["dense_i"]["kernel"], np.float64)
    state = carry = np.zeros(kernel.shape[1] // 4)
    for x in sequence:
        i, f, g, o = np.split(x @ kernel + affine(cell["dense_h"], state), 4)
        carry = sigmoid(f) * carry + sigmoid(i) * np.tanh(g)
        state = sigmoid(o) * np.tanh(carry)
    return state
