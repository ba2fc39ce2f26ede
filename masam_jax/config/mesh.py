"""How devices are arranged, and which parameters are split over them, as text says it."""

import math
import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

from masam_jax.core.specs import unknown

AXES = ("seeds", "data", "model")
"""The axes of every mesh: seeds, the samples of a batch, the parameters."""

Parallel = Literal["jit", "pmap"]
"""How a step comes to several devices."""

_SPLITTING = AXES[1:]
_WHOLE = "none"


def parse_mesh(text: str) -> dict[str, int]:
    """Devices along each axis.

    Raises:
      ValueError: an unknown axis, one that is given twice, or no number of devices.

    Examples:
      >>> parse_mesh("data=4,model=2")
      {'seeds': 1, 'data': 4, 'model': 2}
    """
    found: dict[str, int] = {}
    for item in text.split(","):
        axis, equals, size = (part.strip() for part in item.partition("="))
        if not equals or not re.fullmatch("[1-9][0-9]*", size):
            raise ValueError(f"mesh={text!r}: {item!r} is not of the form AXIS=DEVICES")
        if axis not in AXES:
            raise ValueError(f"mesh={text!r}: {unknown('axis', axis, AXES)}")
        if axis in found:
            raise ValueError(f"mesh={text!r}: axis {axis!r} is given twice")
        found[axis] = int(size)
    return {axis: found.get(axis, 1) for axis in AXES}


class ShardingRule(NamedTuple):
    """How the parameters are split whose path a regular expression finds.

    Attributes:
      text: the rule as it was given, for messages.
      pattern: is searched for in paths such as ``encoders/audio/layers/0/kernel``.
      axes: one axis, over which the largest dimension is split that divides by it; or, of several,
        one for each dimension, None for one that is not split; or none at all, to leave it whole.
      least: numbers below which a parameter is left whole.
    """

    text: str
    pattern: re.Pattern[str]
    axes: tuple[str | None, ...]
    least: int = 1

    def split(
        self, name: str, shape: tuple[int, ...], sizes: Mapping[str, int]
    ) -> tuple[str | None, ...]:
        """The axis that each dimension of a parameter is split over.

        Args:
          name: its path.
          shape: its shape.
          sizes: devices along each axis.

        Raises:
          ValueError: it has not as many dimensions, or one does not divide.
        """
        whole = (None,) * len(shape)
        if not self.axes or math.prod(shape) < self.least:
            return whole
        if len(self.axes) == 1:
            size = sizes[self.axes[0]] if self.axes[0] else 1
            fitting = [place for place, extent in enumerate(shape) if not extent % size]
            if not fitting:
                return whole
            largest = max(fitting, key=lambda place: (shape[place], place))
            return tuple(self.axes[0] if place == largest else None for place in range(len(shape)))
        fits = len(self.axes) == len(shape) and all(
            axis is None or not extent % sizes[axis]
            for axis, extent in zip(self.axes, shape, strict=True)
        )
        if not fits:
            raise ValueError(
                f"shard_parameters: {self.text!r} does not fit {name} of shape {list(shape)} on"
                f" {write_mesh(sizes)}; each dimension needs an axis that it divides by, or none"
            )
        return self.axes


LARGE = ShardingRule("", re.compile(""), ("model",), least=4096)
"""The rule where none is given: what is large is split over the axis of the parameters."""


def parse_rule(text: str) -> ShardingRule:
    """A rule, ``REGEX=AXIS``, or ``REGEX=AXIS/AXIS/...`` with one for each dimension.

    Raises:
      ValueError: another form, no regular expression, or an axis that does not split parameters.

    Examples:
      >>> parse_rule("kernel$=none/model").axes
      (None, 'model')
    """
    pattern, equals, words = text.rpartition("=")
    if not equals or not pattern or not words:
        raise ValueError(f"shard_parameters: {text!r} is not of the form REGEX=AXIS")
    axes = tuple(words.split("/"))
    for axis in axes:
        if axis not in (*_SPLITTING, _WHOLE):
            known = (*_SPLITTING, _WHOLE)
            raise ValueError(f"shard_parameters: {text!r}: {unknown('axis', axis, known)}")
    named = [axis for axis in axes if axis != _WHOLE]
    if len(named) > len(set(named)):
        raise ValueError(f"shard_parameters: {text!r} splits two dimensions over one axis")
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(
            f"shard_parameters: {text!r}: {pattern!r} is no regular expression: {error}"
        ) from None
    if not named:
        return ShardingRule(text, compiled, ())
    return ShardingRule(text, compiled, tuple(None if a == _WHOLE else a for a in axes))


def write_mesh(sizes: Mapping[str, int]) -> str:
    """The mesh as it would be given: axes of more than one device.

    Examples:
      >>> write_mesh({"seeds": 1, "data": 4, "model": 2})
      'data=4,model=2'
    """
    named = ",".join(f"{axis}={size}" for axis, size in sizes.items() if size > 1)
    return named or "data=1"
