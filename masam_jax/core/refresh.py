"""Which steps of an approximate `masam` measure anew, and which reuse what an earlier one found."""

import math
from typing import Any, NamedTuple

from masam_jax.core.specs import check_number


class Refresh(NamedTuple):
    """What one step measures anew; hashable, a static argument of ``jit``.

    Attributes:
      perturbation: whether the gradient at the perturbed point is taken; else the correction is
        reused, or left out.
      scores: whether γ is measured, which takes a second pullback; else the last γ stands.
    """

    perturbation: bool = True
    scores: bool = True


def refresh_cycle(perturb_every: int = 1, score_every: int | None = None) -> tuple[Refresh, ...]:
    """What the steps measure, from the first on; after the last entry it begins again.

    Args:
      perturb_every: steps from one gradient at the perturbed point to the next.
      score_every: steps from one γ to the next; as ``perturb_every`` when None.

    Raises:
      ValueError: a number is no integer >= 1.

    Examples:
      >>> refresh_cycle(2)
      (Refresh(perturbation=True, scores=True), Refresh(perturbation=False, scores=False))
    """
    check_number("perturb_every", perturb_every, "[1, inf)", whole=True)
    if score_every is None:
        score_every = perturb_every
    check_number("score_every", score_every, "[1, inf)", whole=True)
    steps = range(math.lcm(perturb_every, score_every))
    return tuple(Refresh(t % perturb_every == 0, t % score_every == 0) for t in steps)


def check_refresh(refresh: Any) -> None:
    """Raises ``ValueError`` unless ``refresh`` is a `Refresh`, or None."""
    if refresh is not None and not isinstance(refresh, Refresh):
        raise ValueError(f"refresh must be an entry of refresh_cycle(...), got {refresh!r}")
