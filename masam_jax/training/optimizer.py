"""The optimizer of a run, which takes the gradients that a method's transformation leaves."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import optax

from masam_jax.config import OptimizationConfig
from masam_jax.core.specs import unknown
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
    """The optimizer that a configuration names: clipping, the base optimizer, factors of its rate.

    Frozen encoders count in no norm and have no updates.

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
    parts = [optimizer]
    if config.clip_norm is not None:
        parts = [optax.clip_by_global_norm(config.clip_norm), *parts]
    still = dict.fromkeys(config.freeze, optax.set_to_zero())
    if (
        still
    ):  # Twice: momentum keeps nothing of their gradients, and weight decay does not move them.
        parts = [_of_modalities(still, labels, modalities), *parts]
    if still or config.factors:
        scaled = {m: optax.scale(factor) for m, factor in config.factors.items()}
        parts = [*parts, _of_modalities(still | scaled, labels, modalities)]
    return optimizer if len(parts) == 1 else optax.chain(*parts)


def check_encoders_named(config: OptimizationConfig, modalities: Sequence[str]) -> None:
    """Raises ``ValueError`` for a frozen or scaled encoder of a modality that the data lack."""
    for name, asked in (("freeze", config.freeze), ("learning_rate_factor", config.factors)):
        for modality in asked:
            if modality not in modalities:
                raise ValueError(f"{name}: {unknown('modality', modality, modalities)}")


def _of_modalities(
    changes: Mapping[str, optax.GradientTransformation], labels: Any, modalities: Sequence[str]
) -> optax.GradientTransformation:
    """Changes the updates of some modalities' encoders, and leaves all others as they are."""
    alike = dict.fromkeys((*modalities, "other"), optax.identity())
    return optax.partition({**alike, **changes}, labels)


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
