"""What methods report of the last step: weights, factors and scores of their own, for logging."""

from typing import Any, Protocol, runtime_checkable

import jax

Report = dict[str, dict[str, jax.Array]]


@runtime_checkable
class Reporting(Protocol):
    """A state, of a gradient transformation or of an objective, that has something to report.

    What its arrays hold anyway is best a property; what the update computes and nobody needs again
    is a field of the state, which training restores from older checkpoints without it.
    """

    @property
    def report(self) -> Report:
        """``{name: {modality: scalar}}`` of the last step; leading axes of the state stay."""


def method_report(*states: Any) -> Report:
    """What the methods in some states report of the last step, for logging.

    Args:
      states: optimizer states, and states of objectives, however nested; leading axes (seeds under
        ``vmap``) are kept.

    Returns:
      ``{name: {modality: scalar}}``, such as ``{"gradient_factor": {"audio": 0.4, "video": 1.0}}``
      of `ogm_ge`. Empty where no method has anything to report; `masam_metrics` has what `masam`
      decided.

    Raises:
      ValueError: two of the states report the same name.

    Examples:
      >>> import jax.numpy as jnp
      >>> from masam_jax import method_report, ogm_ge
      >>> grads = {"audio": jnp.ones(2), "video": jnp.ones(3)}
      >>> tx = ogm_ge({"audio": "audio", "video": "video"}, noise=False)
      >>> _, state = tx.update(grads, tx.init(grads), confidence={"audio": 6.0, "video": 3.0})
      >>> factors = method_report(state)["gradient_factor"]
      >>> {m: round(float(factor), 3) for m, factor in factors.items()}
      {'audio': 0.463, 'video': 1.0}
    """
    found: Report = {}
    for state in jax.tree.leaves(states, is_leaf=_reports):
        if _reports(state):
            twice = sorted(set(found) & set(state.report))
            if twice:
                raise ValueError(f"two states report {twice[0]!r}; give one of them at a time")
            found |= state.report
    return found


def _reports(node: Any) -> bool:
    return isinstance(node, Reporting)
