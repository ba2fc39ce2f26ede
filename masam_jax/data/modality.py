"""What one modality's samples look like when they reach the network."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal, get_args

import numpy as np

Kind = Literal["vector", "image", "spectrogram", "frames", "sequence", "tokens"]
KINDS: tuple[Kind, ...] = ("vector", "image", "spectrogram", "frames", "sequence", "tokens")

# Axes of one sample's array, by kind.
_AXES: dict[str, str] = {
    "vector": "[D]",
    "image": "[H, W, C]",
    "spectrogram": "[frequencies, times, 1]",
    "frames": "[T, H, W, C]",
    "sequence": "[T, D]",
    "tokens": "[L]",
}
# Bytes of one sample, which has to fit into memory many times.
_MOST_BYTES = 2**32
_LARGEST_VOCABULARY = 2**31 - 1

IMAGENET_MEAN = (123.675, 116.28, 103.53)
"""Channel means of ImageNet, of pixels 0 to 255."""
IMAGENET_STD = (58.395, 57.12, 57.375)
"""Channel standard deviations of ImageNet, of pixels 0 to 255."""


Rule = Literal["feature", "scalar", "fixed", "none"]


@dataclasses.dataclass(frozen=True)
class Normalization:
    """How values are brought to a common scale, ``(x - mean) / std``, on the device.

    Attributes:
      rule: ``"feature"``: mean and std of each index of the last axis; ``"scalar"``: one of all
        values; both from the training samples alone. ``"fixed"``: the numbers given here.
        ``"none"``: values stay as they are.
      mean: of ``"fixed"``, one number for each index of the last axis.
      std: likewise.
    """

    rule: Rule = "feature"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @property
    def is_fitted(self) -> bool:
        """Whether its numbers come from the training samples."""
        return self.rule in ("feature", "scalar")


IMAGENET = Normalization("fixed", IMAGENET_MEAN, IMAGENET_STD)
"""ImageNet's statistics, for pixels 0 to 255."""


@dataclasses.dataclass(frozen=True)
class Modality:
    """One modality of a data set.

    Attributes:
      kind: ``"vector"`` [D], ``"image"`` [H, W, C], ``"spectrogram"`` [frequencies, times, 1],
        ``"frames"`` [T, H, W, C]: a sample is one array. ``"sequence"``: a sample is
        ``{"values": float32 [T, D], "mask": bool [T]}``, ``"tokens"``: ``{"tokens": int32 [L],
        "mask": bool [L]}``, with True at real steps and zeros at all others.
      shape: shape of that array, of ``values`` or of ``tokens``.
      dtype: its dtype; pixels travel as uint8, a quarter of float32.
      normalization: how values are brought to a common scale.
      vocabulary_size: of ``"tokens"``, one more than the largest.
    """

    kind: Kind
    shape: tuple[int, ...]
    dtype: Any = np.float32
    normalization: Normalization = Normalization()
    vocabulary_size: int | None = None

    @property
    def template(self) -> Any:
        """Shapes and dtypes of one sample, a tree of ``(shape, dtype)`` arrays of zeros."""
        values = np.zeros(self.shape, self.dtype)
        if self.kind == "sequence":
            return {"mask": np.zeros(self.shape[:1], np.bool_), "values": values}
        if self.kind == "tokens":
            return {"mask": np.zeros(self.shape[:1], np.bool_), "tokens": values}
        return values


def check_modality(name: str, modality: Modality) -> None:
    """Checks that a modality describes samples that there can be.

    Raises:
      ValueError: an unknown kind or rule, another number of axes than the kind has, a side below
        1, a sample beyond 4 GiB, values that are no real numbers, or fixed statistics of another
        length, not finite, or with a std of 0 or less.
    """
    if not isinstance(modality, Modality):
        raise ValueError(f"{name} is a {type(modality).__name__}; a Modality is needed.")
    kind, shape = modality.kind, modality.shape
    if kind not in _AXES:
        raise ValueError(f"{name}: kind is {kind!r}; {', '.join(KINDS)} are accepted.")
    sides = [side for side in shape if isinstance(side, int | np.integer) and side >= 1]
    if len(sides) != len(shape) or len(shape) != 1 + _AXES[kind].count(","):
        raise ValueError(f"{name}: shape is {list(shape)}; of kind {kind!r} it is {_AXES[kind]}.")
    dtype = np.dtype(modality.dtype)
    if dtype.kind not in ("iu" if kind == "tokens" else "biuf"):
        wanted = "integers" if kind == "tokens" else "real numbers"
        raise ValueError(f"{name}: dtype is {dtype}; {wanted} are accepted.")
    if math.prod(shape) * dtype.itemsize > _MOST_BYTES:
        raise ValueError(f"{name}: a sample of shape {list(shape)} is larger than 4 GiB.")
    size = modality.vocabulary_size
    if size is not None and not (type(size) is int and 1 <= size <= _LARGEST_VOCABULARY):
        raise ValueError(f"{name}: vocabulary_size is {size!r}; an integer >= 1 is needed.")
    _check_normalization(name, modality)


def _check_normalization(name: str, modality: Modality) -> None:
    found = modality.normalization
    if found.rule not in get_args(Rule):
        raise ValueError(f"{name}: rule is {found.rule!r}; {', '.join(get_args(Rule))} accepted.")
    # One number stands for all indices, too.
    lengths = {1, modality.shape[-1]} if found.rule == "fixed" else {0}
    if len(found.mean) not in lengths or len(found.std) != len(found.mean):
        raise ValueError(
            f"{name}: {len(found.mean)} means and {len(found.std)} stds for the rule"
            f" {found.rule!r}; {max(lengths)} are needed."
        )
    if not all(math.isfinite(x) for x in (*found.mean, *found.std)) or min((*found.std, 1)) <= 0:
        raise ValueError(f"{name}: means must be finite, and stds finite and above 0.")


def check_sample(name: str, modality: Modality, sample: Any) -> None:
    """Checks that a decoded sample is what its modality says.

    Raises:
      ValueError: another structure, shape or dtype, or values that are not finite.
    """
    template = modality.template
    found = sample if isinstance(template, dict) else {"": sample}
    wanted = template if isinstance(template, dict) else {"": template}
    if not isinstance(found, dict) or set(found) != set(wanted):
        kind = sorted(found) if isinstance(found, dict) else type(found).__name__
        raise ValueError(f"{name}: a sample has {kind}; {sorted(wanted)} is needed.")
    for part, array in found.items():
        like = wanted[part]
        if np.shape(array) != like.shape or array.dtype != like.dtype:
            raise ValueError(
                f"{name}{'/' + part if part else ''}: a sample has shape {np.shape(array)} and"
                f" dtype {array.dtype}; {like.shape} of {like.dtype} is needed."
            )
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
            bad = int(np.count_nonzero(~np.isfinite(array)))
            raise ValueError(f"{name}: a sample holds {bad} non-finite values; none may be.")
