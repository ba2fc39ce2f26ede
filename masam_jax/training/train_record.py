"""What is logged of a training step: fetched from the device at log intervals alone."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from masam_jax.core.metrics import has_masam_metrics, masam_metrics
from masam_jax.methods import method_report
from masam_jax.training.dominance import DominanceState, dominant_index
from masam_jax.training.problem import Problem
from masam_jax.training.state import TrainState

_SCORES = ("score", "alignment", "decay", "ma_loss")


def make_train_record(problem: Problem) -> Callable[[Any, TrainState], dict[str, Any]]:
    """A function ``(losses, state) -> record``, NumPy arrays ``[S]`` or ``{m: [S]}``.

    The record has ``total_loss``, ``fusion_loss``, ``accuracy`` (of the batch; not of regression)
    and ``unimodal_loss``; ``fusion_gradient_norm`` and ``unimodal_gradient_norm`` as far as they
    were computed; and what the method reports (`method_report`).

    Of a method that chooses a modality also ``dominant``, 1 for this step's and 0 for the others;
    ``dominant_share``, of all steps so far; and ``switching_rate``, the share of steps whose
    dominant modality is another one than the step's before, NaN before there was a pair. With a
    ``MasamState`` ``score``, ``alignment``, ``decay``, ``ma_loss``; and ``argmax_agreement``, the
    share of steps on which the modality of the largest score is that of the largest alignment.
    """
    modalities = problem.modalities

    @jax.jit
    def on_device(losses: Any, opt_state: DominanceState, method_state: Any) -> dict[str, Any]:
        record = {
            "total_loss": losses.total,
            "fusion_loss": losses.fusion,
            "unimodal_loss": losses.unimodal,
        }
        if losses.aux.accuracy is not None:
            record["accuracy"] = losses.aux.accuracy
        record |= losses.aux.gradient_norms | method_report(opt_state, method_state)
        choices = opt_state.choices
        if opt_state.counts is None or opt_state.steps is None or choices is None:
            return record
        if has_masam_metrics(opt_state):
            metrics = masam_metrics(opt_state)
            for name in _SCORES:
                record[name] = {m: metrics[f"{name}/{m}"] for m in modalities}
            record["argmax_agreement"] = _share(choices.agreements, choices.compared)
        places, dominant = range(len(modalities)), dominant_index(opt_state)
        shares = [_share(opt_state.counts[:, place], opt_state.steps) for place in places]
        record["dominant"] = {m: dominant == i for i, m in enumerate(modalities)}
        record["dominant_share"] = dict(zip(modalities, shares, strict=True))
        record["switching_rate"] = _share(choices.switches, choices.pairs)
        return record

    def train_record(losses: Any, state: TrainState) -> dict[str, Any]:
        record = on_device(losses, state.opt_state, state.method_state)
        return problem.placement.fetch(record)

    return train_record


def _share(part: Any, whole: Any) -> jax.Array:
    """``part / whole`` in float32; NaN of nothing."""
    total = jnp.maximum(whole, 1).astype(jnp.float32)
    return jnp.where(whole > 0, part.astype(jnp.float32) / total, jnp.nan)


def leading_modality(dominant: Mapping[str, np.ndarray] | None) -> str | None:
    """The modality that is dominant for most seeds, in words; None without a dominant one.

    Args:
      dominant: ``{m: bool [S]}``, whether it is each seed's; None for a method that chooses none.
    """
    if not dominant:
        return None
    counts = {m: int(np.sum(each)) for m, each in sorted(dominant.items())}
    leading = max(counts, key=lambda m: counts[m])
    if not counts[leading]:
        return None
    seeds = len(dominant[leading])
    share = f" ({counts[leading]}/{seeds} seeds)" if seeds > 1 else ""
    return f"{leading}{share}"
