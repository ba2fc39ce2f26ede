"""The optimizer of a run, which takes the gradients that a method's transformation leaves."""

from collections.abc import Sequence
from typing import Any

import jax
import optax

from masam_jax.config import OptimizationConfig
from masam_jax.training.by_partition import by_partition
from masam_jax.training.learning_rate import learning_rate

# Of each element of Muon's updates, as large as AdamW's, so that one learning rate serves both:
# Liu et al., "Muon is Scalable for LLM Training", arXiv:2502.16982, section 2.2.
_MUON_RMS = 0.2


def make_optimizer(
    config: OptimizationConfig,
    labels: Any,
    modalities: Sequence[str],
    steps: int,
    *,
    by_modality: bool = False,
) -> optax.GradientTransformation:
    """The optimizer that a configuration names: clipping first, then the base optimizer.

    Args:
      config: the optimizer, its rates and schedule.
      labels: a modality's name or ``"other"`` for every parameter: a tree or a callable.
      modalities: their names.
      steps: of the run, which schedules fall over.
      by_modality: whether modalities take turns within a step; ``update`` then takes the static
        argument ``phase``, see `by_partition`.

    Raises:
      ValueError: the warm-up is longer than the run.
    """
    optimizer = _base(config, learning_rate(config, steps))
    if by_modality:
        of_other = _base(config, learning_rate(config, steps, updates_per_step=len(modalities)))
        optimizer = by_partition(optimizer, labels, modalities, of_other=of_other)
    if config.clip_norm is None:
        return optimizer
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), optimizer)


def _base(config: OptimizationConfig, rate: float | optax.Schedule) -> optax.GradientTransformation:
    decay = config.weight_decay
    match config.optimizer:
        case "adamw":
            base = optax.adamw(rate, weight_decay=decay)
        case "lion":
            base = optax.lion(rate, weight_decay=decay)
        case "muon":
            base = optax.contrib.muon(
                rate, weight_decay=decay, adam_weight_decay=decay, consistent_rms=_MUON_RMS
            )
        case "adam":
            base = optax.chain(optax.add_decayed_weights(decay), optax.adam(rate))
        case "sgd":
            base = optax.chain(
                optax.add_decayed_weights(decay), optax.sgd(rate, config.momentum or None)
            )
    return _promoting(base)


def _promoting(base: optax.GradientTransformation) -> optax.GradientTransformation:
    """Optax mixes Python floats with integers, and ranks, which strict promotion refuses."""

    def update_fn(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            return base.update(updates, state, params)

    return optax.GradientTransformation(base.init, update_fn)
