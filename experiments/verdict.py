"""A sentence on who is ahead of late fusion, by how much, and how sure that is."""

from collections.abc import Mapping, Sequence

from masam_jax.analysis import paired_test, summarize
from masam_jax.analysis.formatting import interval, number

BASELINE = "late fusion"


def verdict(scores: Mapping[str, Sequence[float | None]], what: str, where: str) -> str:
    """Who has the highest mean, against late fusion.

    Args:
      scores: method -> fractions, one a seed; late fusion among them.
      what: the scores are.
      where: the data set.
    """
    means = {name: summarize(values).mean for name, values in scores.items()}
    finite = {name: mean for name, mean in means.items() if mean is not None}
    if BASELINE not in finite or len(finite) < 2:
        return f"On {where} there is nothing to compare: seeds diverged."
    best = max(finite, key=finite.__getitem__)
    if best == BASELINE:
        rest = {name: mean for name, mean in finite.items() if name != BASELINE}
        best, words = (
            max(rest, key=rest.__getitem__),
            f"late fusion has the highest {what}; next is",
        )
    else:
        words = f"the highest {what} is that of"
    test = paired_test(scores[best], scores[BASELINE])
    gained = number(100 * (finite[best] - finite[BASELINE]), signed=True)
    return (
        f"On {where} {words} {best}, {gained} points from late fusion's"
        f" (95 % interval over seeds {interval(test.interval())}, not corrected for its choice)."
    )
