"""The diagnosis in three sentences, made from the numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from masam_jax.analysis.formatting import number
from masam_jax.diagnosis.conclusions import DROWNED_MARGIN, Diagnosis, Interval, ModalityFinding

# Names of one sentence; of more, their number is said.
_MOST_NAMES = 4


def verdict_of(found: Diagnosis) -> str:
    """Whether fusion is worth it; who is drowned, and by whom; what helps.

    Args:
      found: a diagnosis with its remedies.
    """
    if not found.seeds:
        return (
            f"Training diverged with every seed ({len(found.diverged)}). Nothing can be said of"
            " the modalities. A smaller --learning-rate is the first thing to try."
        )
    return " ".join([_fusion(found), _drowned(found), _help(found)])


def _fusion(found: Diagnosis) -> str:
    fusion, interval = found.fusion, found.fusion.interval
    if interval is None:
        worth = "One seed cannot say whether fusion is worth it"
    elif interval[1] < 0:
        little = "" if found.fusion_is_worse else " a little"
        worth = f"Fusion is{little} worse than its best modality"
    elif interval[0] <= 0:
        worth = "Fusion is no better than its best modality, as far as the seeds can tell"
    elif fusion.over_mean_interval is not None and fusion.over_mean_interval[1] < 0:
        worth = "Fusion is better than its best modality, but worse than the average of all"
    else:
        worth = "Fusion is worth it"
    return (
        f"{worth}: trained jointly, the network gets {_percent(fusion.joint)} right,"
        f" {_points(fusion.difference, interval)} {fusion.best} trained alone"
        f" ({_percent(fusion.best_alone)}), and {_points(fusion.over_mean, None)} the average of"
        f" the modalities trained alone ({_percent(fusion.mean_of_alone)})."
    )


def _drowned(found: Diagnosis) -> str:
    if not found.informative:
        return _nothing_alone(found)
    silent = [m for m in found.modalities if m not in found.informative + found.undecided]
    aside = ""
    if silent:
        has = "has" if len(silent) == 1 else "have"
        accuracies = [found.modalities[m].head_alone for m in silent]
        most = "" if len(silent) == 1 else "at most "
        aside = (
            f"; {listed(silent)} {has} next to nothing to say alone"
            f" ({most}{_percent(max(accuracies))}, and guessing gets {_percent(found.chance)})"
        )
    if not found.drowned:
        rest = [m for m in found.informative if m != found.dominant] or found.informative
        m = min(rest, key=lambda name: found.modalities[name].difference)
        each = found.modalities[m]
        if found.suspects:
            return (
                f"No modality is drowned for certain, but {m} may be, which more seeds would tell:"
                f" after joint training a linear probe on its encoder gets {_less(each)}"
                f"{_dominance(found)}{aside}."
            )
        margin = number(100 * DROWNED_MARGIN, 0)
        share = _largest(found) if found.dominant is None else _dominance(found)
        return (
            "No modality is drowned: after joint training a linear probe on any encoder is as good"
            f" as after training alone, or less than {margin} points worse (at worst"
            f" {_signed(each.difference)}, of {m}){share}{aside}."
        )
    worst = _worst_first(found)
    each = found.modalities[worst[0]]
    are = "is drowned" if len(worst) == 1 else f"are drowned, {worst[0]} most of all"
    return (
        f"{listed(worst)} {are}: a linear probe on the encoder of {worst[0]} gets"
        f" {_percent(each.joint_probe)} after joint training and {_percent(each.alone)} after"
        f" training alone, {_less(each)}{_dominance(found)}{aside}."
    )


def _nothing_alone(found: Diagnosis) -> str:
    best = max(each.head_alone for each in found.modalities.values())
    if found.undecided:
        count = len(found.seeds)
        seeds = "one seed" if count == 1 else f"{count} seeds"
        return (
            f"Whether a modality is drowned, {seeds} cannot tell: alone,"
            f" {listed(list(found.modalities))} get at most {_percent(best)}, and guessing gets"
            f" {_percent(found.chance)}."
        )
    return (
        f"No modality says anything alone: {listed(list(found.modalities))} get at most"
        f" {_percent(best)}, and guessing gets {_percent(found.chance)}; so none is drowned, and"
        " what there is lies in their combination."
    )


def _dominance(found: Diagnosis) -> str:
    if found.dominant is None:
        return "; no modality dominates"
    each = found.modalities[found.dominant]
    share, logits = _percent(min(each.answer_share, 1), 0), _percent(each.logit_share, 0)
    return (
        f"; {found.dominant} dominates, with {share} of what is right beyond guessing and {logits}"
        " of the logits"
    )


def _largest(found: Diagnosis) -> str:
    shares = {m: each.answer_share for m, each in found.modalities.items()}
    if len(shares) < 2 or not all(np.isfinite(share) for share in shares.values()):
        return ""
    m = max(shares, key=lambda name: shares[name])
    return (
        f"; of what is right beyond guessing, {m} has the largest share, {_percent(shares[m], 0)}"
    )


def _help(found: Diagnosis) -> str:
    diverged = ""
    if found.diverged:
        diverged = f" ({len(found.diverged)} seeds diverged, and are left out)"
    if not found.is_anything_wrong:
        certainly = "certainly " if found.suspects or found.undecided else ""
        return f"Nothing is {certainly}wrong here{diverged}."
    names = listed([remedy.name for remedy in found.remedies])
    if found.diverged:
        return f"What may help: {names}{diverged}."
    restored = ""
    if found.drowned:
        m = _worst_first(found)[0]
        restored = f"the probe of {m} is at {_percent(found.modalities[m].supervised_probe)}, and "
    return (
        f"With unimodal losses {restored}the prediction is at {_percent(found.fusion.supervised)};"
        f" what answers it: {names}."
    )


def _worst_first(found: Diagnosis) -> list[str]:
    return sorted(found.drowned, key=lambda name: found.modalities[name].difference)


def listed(names: Sequence[str]) -> str:
    """Names in a sentence; of many the first few.

    Examples:
      >>> listed(["a"]), listed(["a", "b", "c"]), listed(list("abcdefg"))
      ('a', 'a, b and c', 'a, b, c and 4 more')
    """
    if len(names) > _MOST_NAMES:
        names = [*names[: _MOST_NAMES - 1], f"{len(names) - _MOST_NAMES + 1} more"]
    return " and ".join([*[", ".join(names[:-1])][: len(names) - 1], *names[-1:]])


def _less(each: ModalityFinding) -> str:
    ends = each.interval
    turned = None if ends is None else (-ends[1], -ends[0])
    return f"{_round(-each.difference)} points less{_ends(turned, signed=False)}"


def _points(difference: float, interval: Interval) -> str:
    """``7.1 points (6.0 to 8.2) more than``; the interval in the direction of the words."""
    if abs(difference) < 5e-4:
        return f"as much as{_ends(interval)}"
    if difference > 0:
        return f"{_round(difference)} points{_ends(interval)} more than"
    turned = None if interval is None else (-interval[1], -interval[0])
    return f"{_round(-difference)} points{_ends(turned)} less than"


def _ends(interval: Interval, signed: bool = True) -> str:
    if interval is None:
        return ""
    low, high = interval
    write = _signed if signed and low < 0 else _round
    return f" ({write(low)} to {write(high)})"


def _percent(fraction: float, decimals: int = 1) -> str:
    return f"{number(100 * fraction, decimals)} %"


def _round(fraction: float) -> str:
    return number(100 * fraction, 1)


def _signed(fraction: float) -> str:
    return number(100 * fraction, 1, signed=True)
