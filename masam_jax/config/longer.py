"""A configuration that differs from another by the length of its training alone."""

import dataclasses
from typing import Any

from masam_jax.config.experiment import changed_fields


@dataclasses.dataclass(frozen=True)
class Longer:
    """How much longer.

    Attributes:
      unit: what the length is counted in, ``"steps"`` or ``"epochs"``.
      before: the shorter length.
      after: the longer one.
    """

    unit: str
    before: int
    after: int


def added_length(old: dict[str, Any], new: dict[str, Any]) -> Longer | None:
    """What the new configuration adds to the old one; None if it is no longer, or else different.

    Args:
      old: content of a ``config.json``, completed.
      new: likewise.
    """
    for unit in ("steps", "epochs"):
        before, after = (_length(content, unit) for content in (old, new))
        if before is None or after is None or before >= after:
            continue
        grown = {**old, "optimization": {**old["optimization"], unit: after}}
        if not changed_fields(grown, new):
            return Longer(unit, before, after)
    return None


def _length(content: dict[str, Any], unit: str) -> int | None:
    section = content.get("optimization")
    found = section.get(unit) if isinstance(section, dict) else None
    return found if type(found) is int else None
