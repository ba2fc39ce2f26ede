"""What MASAM decided, out of any optimizer state."""

from typing import Any

import jax
import numpy as np
import optax

from masam_jax.core.masam import MasamState
from masam_jax.core.numerics import is_traced
from masam_jax.core.route import CLEAN


def masam_metrics(opt_state: optax.OptState) -> dict[str, Any]:
    """The scores and the dominant modality of the last step, for logging.

    Args:
      opt_state: the state of an optimizer with one `masam` somewhere in it, however nested;
        leading axes (seeds under ``vmap``) are kept. Flax's ``nnx.Optimizer`` has it as its
        attribute ``opt_state``; the variables around its arrays are taken off.

    Returns:
      ``{"dominant": name, "score/m": ..., "alignment/m": ..., "decay/m": ..., "ma_loss/m": ...}``
      for every modality m, and ``"radius/m"``, the norm of the perturbation as rounding left it,
      for those with parameters of fewer than 32 bits; with ``score_smoothing`` also
      ``"smoothed_score/m"``, what the choice went by. ``dominant`` is None where no single
      modality was perturbed, a list where the state has leading axes, and under ``jit`` an int32
      index into the sorted names, -1 for none.

    Raises:
      ValueError: there is no MASAM state in ``opt_state``, or more than one.
    """
    states = _states(opt_state)
    if len(states) != 1:
        raise ValueError(f"opt_state must hold one MasamState, found {len(states)}")
    scores, dominant = states[0].scores, _array(states[0].dominant)
    names = sorted(scores.score)
    metrics: dict[str, Any] = {
        "dominant": dominant if is_traced(dominant) else _name(np.asarray(dominant).tolist(), names)
    }
    for field in ("score", "alignment", "decay", "ma_loss"):
        metrics.update({f"{field}/{m}": _array(getattr(scores, field)[m]) for m in names})
    radii = {m: _array(states[0].radius[m]) for m in names}
    memory = states[0].memory
    if memory is not None and memory.smoothed is not None:
        metrics.update({f"smoothed_score/{m}": _array(memory.smoothed[m]) for m in names})
    narrow = [m for m in names if radii[m].ndim > dominant.ndim]
    metrics.update({f"radius/{m}": radii[m][..., 0] for m in narrow})
    return metrics


def has_masam_metrics(opt_state: optax.OptState) -> bool:
    """Whether `masam_metrics` finds what it looks for in ``opt_state``."""
    return len(_states(opt_state)) == 1


def _states(opt_state: optax.OptState) -> list[MasamState]:
    nodes = jax.tree.leaves(opt_state, is_leaf=_is_masam)
    return [node for node in nodes if _is_masam(node)]


def _is_masam(node: Any) -> bool:
    return isinstance(node, MasamState)


def _array(value: Any) -> Any:
    """The array in what a library may have put around it, as ``flax.nnx.Optimizer`` does."""
    (array,) = jax.tree.leaves(value)
    return array


def _name(index: Any, names: list[str]) -> Any:
    if isinstance(index, list):
        return [_name(each, names) for each in index]
    return None if index == CLEAN else names[index]
