"""The ways to take the gradient at the perturbed point, as a step knows them while tracing."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

CLEAN = -1
"""The index that stands for no modality: the step is a clean one."""


class Route(NamedTuple):
    """How the perturbed gradient of one step is taken; hashable, for ``jit``.

    Attributes:
      how: "clean" (not at all), "joint" (all modalities at once), "single", "dense", "switch",
        "platform" (dense on the CPU, switch elsewhere), or "host" (Python makes it a known one).
      modality: the one that "single" perturbs.
    """

    how: Literal["clean", "joint", "single", "dense", "switch", "platform", "host"]
    modality: str | None = None

    @classmethod
    def of_index(cls, index: int, modalities: Sequence[str]) -> "Route":
        """To the modality at a known index, or the clean one."""
        return cls("clean") if index == CLEAN else cls("single", modalities[index])
