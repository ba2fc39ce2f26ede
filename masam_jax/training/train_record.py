"""What is logged of a training step: fetched from the device at log intervals alone."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
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
    def on_device(
        losses: Any, opt_state: DominanceState, method_state: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The record, and numerator and denominator of its shares."""
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
            return record, {}
        counted: dict[str, Any] = {"switching_rate": (choices.switches, choices.pairs)}
        if has_masam_metrics(opt_state):
            metrics = masam_metrics(opt_state)
            for name in _SCORES:
                record[name] = {m: metrics[f"{name}/{m}"] for m in modalities}
            counted["argmax_agreement"] = (choices.agreements, choices.compared)
        dominant = dominant_index(opt_state)
        record["dominant"] = {m: dominant == i for i, m in enumerate(modalities)}
        counted["dominant_share"] = {
            m: (opt_state.counts[:, i], opt_state.steps) for i, m in enumerate(modalities)
        }
        return record, counted

    def train_record(losses: Any, state: TrainState) -> dict[str, Any]:
        fetched = problem.placement.fetch(on_device(losses, state.opt_state, state.method_state))
        record, counted = fetched
        for name, of in counted.items():
            is_each = isinstance(of, dict)
            record[name] = {m: _share(*pair) for m, pair in of.items()} if is_each else _share(*of)
        return record

    return train_record


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """``part / whole`` in float32; NaN of nothing, which a device would not be let say.

    With ``jax_debug_nans`` a program that returns NaN is an error.
    """
    total = np.maximum(whole, 1).astype(np.float32)
    return np.where(whole > 0, part.astype(np.float32) / total, np.float32("nan"))


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
