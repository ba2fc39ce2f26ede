"""ImageNet weights of timm and torchvision for `ResNet`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from masam_jax.models.pure_module import ParamDict
from masam_jax.models.weights.safetensors_file import check_all_taken, read_safetensors, take

# A classifier, and PyTorch's count of training steps: nothing here has a place for them.
_LEFT_OVER = (r"fc\.(weight|bias)", r"(.*\.)?num_batches_tracked")
_VALUES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}
_STEM = "conv1.weight"


def load_resnet_weights(
    source: str | os.PathLike[str] | Mapping[str, np.ndarray],
    params: ParamDict,
    statistics: ParamDict,
) -> tuple[ParamDict, ParamDict]:
    """Parameters and running statistics of a `ResNet` or `VideoResNet`, from published weights.

    Tensors have the names that timm and torchvision give them: ``conv1.weight``, ``bn1.bias``,
    ``layer1.0.conv1.weight``, ``layer2.0.downsample.1.running_mean`` and so on. Kernels go from
    ``[out, in, H, W]`` to ``[H, W, in, out]``. Every parameter needs its tensor, in its shape, and
    every tensor a place, apart from ``fc.*`` and ``num_batches_tracked``. The final dense layer of
    ``width``, which publishes no weights, keeps its values.

    A network for one channel takes a stem for three, summed over them: it answers a grey image as
    the published one answers the same image in all three channels (timm's rule).

    Args:
      source: a ``.safetensors`` file, or tensors by name.
      params: the network's parameters, ``nnx.to_pure_dict(nnx.state(network, nnx.Param))``; shapes
        and dtypes are read, values only of the dense layer, so that a vmapped or jitted function
        may call this.
      statistics: likewise of ``nnx.BatchStat``; an empty dict for group normalisation.

    Returns:
      New parameters and statistics, in the structure, shapes and dtypes of the arguments.

    Raises:
      ValueError: the file is missing or damaged; a tensor is missing, has another shape, or has no
        place in this network; the parameters are not those of a ResNet.
    """
    tensors = source if isinstance(source, Mapping) else read_safetensors(source)
    taken: set[str] = set()
    new_params = _replaced(params, tensors, taken)
    new_statistics = _replaced(statistics, tensors, taken)
    check_all_taken(tensors, taken, _LEFT_OVER)
    return new_params, new_statistics


def _replaced(tree: ParamDict, tensors: Mapping[str, np.ndarray], taken: set[str]) -> ParamDict:
    new: ParamDict = {}
    for path, leaf in _leaves(tree):
        if path[0] != "dense":
            name = _torch_name(path)
            taken.add(name)
            leaf = jnp.asarray(_tensor(tensors, name, leaf.shape), leaf.dtype)
        inner = new
        for key in path[:-1]:
            inner = inner.setdefault(key, {})
        inner[path[-1]] = leaf
    return new


def _leaves(tree: ParamDict) -> Iterator[tuple[tuple[str, ...], Any]]:
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        yield tuple(entry.key for entry in path), leaf


def _torch_name(path: tuple[str, ...]) -> str:
    """``stage_0, block_1, norm_0, scale`` is ``layer1.1.bn1.weight``."""
    modules = [_torch_module(key) for key in path[:-1]]
    return ".".join([*modules, _VALUES[path[-1]]])


def _torch_module(key: str) -> str:
    fixed = {
        "stem_conv": "conv1",
        "stem_norm": "bn1",
        "shortcut_conv": "downsample.0",
        "shortcut_norm": "downsample.1",
    }
    if key in fixed:
        return fixed[key]
    numbered = re.fullmatch(r"(stage|block|conv|norm)_(\d+)", key)
    if numbered is None:
        raise ValueError(
            f"the parameters hold {key!r}; those of one ResNet are needed, from stem_conv to"
            " stage_3."
        )
    kind, index = numbered.groups()
    # PyTorch counts blocks from 0, and the rest from 1.
    if kind == "block":
        return index
    return {"stage": "layer", "conv": "conv", "norm": "bn"}[kind] + str(int(index) + 1)


def _tensor(tensors: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...]) -> np.ndarray:
    if len(shape) != 4:
        return take(tensors, name, shape)
    height, width, in_channels, out_channels = shape
    needed = (out_channels, in_channels, height, width)
    of_colours = (out_channels, 3, height, width)
    is_coloured = name in tensors and tensors[name].shape == of_colours
    if name == _STEM and in_channels == 1 and is_coloured:
        kernel = take(tensors, name, of_colours).sum(axis=1, keepdims=True)
    else:
        kernel = take(tensors, name, needed)
    return kernel.transpose(2, 3, 1, 0)
