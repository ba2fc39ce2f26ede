"""Checks of the signals that ``update`` is given, in the same words for every method."""

from collections.abc import Collection, Mapping
from typing import Any

import jax
import optax

from masam_jax.core.structures import describe_difference

_DROPPED = (
    ". Passed, but they do not arrive? flax's TrainState.apply_gradients, optax.lookahead and other"
    " wrappers without extra arguments drop them: update this transformation by itself, before them"
    " (docs/integration.md, With other libraries)"
)


def require_signals(
    method: str, signals: Mapping[str, Any], names: Collection[str], further: str = ""
) -> None:
    """Raises ``ValueError`` where a signal is missing.

    Args:
      method: the method's name.
      signals: the extra arguments of ``update``.
      names: the signals that it needs.
      further: what to pass beside those of ``multimodal_value_and_grad``.
    """
    missing = [name for name in names if signals.get(name) is None]
    if missing:
        beside = f" and {further}," if further else ""
        raise ValueError(
            f"{method} misses the signals {missing}: pass those of multimodal_value_and_grad,"
            f"{beside} as in tx.update(grads, opt_state, params, **signals)"
            f"{_DROPPED if not signals else ''}"
        )


def require_callable(name: str, value: Any) -> None:
    """Raises ``ValueError`` where a signal is no function."""
    if not callable(value):
        raise ValueError(f"{name} must be callable, got {value!r}")


def require_entries(name: str, given: Mapping[str, Any], modalities: Collection[str]) -> None:
    """Raises ``ValueError`` where a signal by modality lacks one of ``modalities``."""
    missing = [m for m in modalities if m not in given]
    if missing:
        raise ValueError(
            f"{name} has no entry for the modalities {missing} of the labels; it has"
            f" {sorted(given)}"
        )


def require_structure(trees: Mapping[str, Any], params: optax.Params) -> None:
    """Raises ``ValueError`` where a tree has another structure than the parameters."""
    structure = jax.tree.structure(params)
    for name, tree in trees.items():
        if jax.tree.structure(tree) != structure:  # type: ignore[operator]
            difference = describe_difference(tree, params)
            raise ValueError(f"{name} must have the structure of params: it {difference}")


def check_present(present: Mapping[str, Any] | None, modalities: Collection[str]) -> None:
    """Raises ``ValueError`` where ``present`` names a modality that is not there."""
    unknown = sorted(set(present or {}) - set(modalities))
    if unknown:
        raise ValueError(
            f"present names unknown modalities {unknown}; accepted: {list(modalities)}"
        )
