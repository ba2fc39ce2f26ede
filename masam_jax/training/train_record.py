"""What is logged of a training step: fetched from the device at log intervals alone."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from masam_jax.core.metrics import masam_metrics
from masam_jax.training.dominance import DominanceState, dominant_index
from masam_jax.training.problem import Problem

_SCORES = ("score", "alignment", "decay", "ma_loss")


def make_train_record(problem: Problem) -> Callable[[Any, DominanceState], dict[str, Any]]:
    """A function ``(losses, opt_state) -> record``, NumPy arrays ``[S]`` or ``{m: [S]}``.

    The record has ``total_loss``, ``fusion_loss``, ``accuracy`` (of the batch; not of regression)
    and ``unimodal_loss``; with a ``MasamState`` also ``score``, ``alignment``, ``decay``,
    ``ma_loss``, ``dominant_share`` and ``dominant``, the index of this step's dominant modality or
    -1.
    """
    modalities = problem.modalities

    @jax.jit
    def on_device(losses: Any, opt_state: DominanceState) -> dict[str, Any]:
        record = {
            "total_loss": losses.total,
            "fusion_loss": losses.fusion,
            "unimodal_loss": losses.unimodal,
        }
        if losses.aux is not None:
            record["accuracy"] = losses.aux
        if opt_state.counts is None or opt_state.steps is None:
            return record
        metrics = masam_metrics(opt_state)
        for name in _SCORES:
            record[name] = {m: metrics[f"{name}/{m}"] for m in modalities}
        steps = jnp.maximum(opt_state.steps, 1).astype(jnp.float32)
        shares = opt_state.counts.astype(jnp.float32) / steps[:, None]
        record["dominant_share"] = {m: shares[:, index] for index, m in enumerate(modalities)}
        record["dominant"] = dominant_index(opt_state)
        return record

    def train_record(losses: Any, opt_state: DominanceState) -> dict[str, Any]:
        return problem.placement.fetch(on_device(losses, opt_state))

    return train_record


def leading_modality(dominant: np.ndarray | None, modalities: Sequence[str]) -> str | None:
    """The modality that is dominant for most seeds, in words; None without a dominant one.

    Args:
      dominant: int ``[S]``, index of each seed's dominant modality or -1.
      modalities: sorted names.
    """
    if dominant is None:
        return None
    counts = Counter(int(index) for index in dominant if index >= 0)
    if not counts:
        return None
    index, count = min(counts.items(), key=lambda item: (-item[1], item[0]))
    share = f" ({count}/{len(dominant)} seeds)" if len(dominant) > 1 else ""
    return f"{modalities[index]}{share}"
