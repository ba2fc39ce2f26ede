"""From numbers by seed to what is said of each modality, and of fusion."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from masam_jax.analysis.statistics import PairedTest, paired_test
from masam_jax.diagnosis.observations import Observations

MARGIN = 0.02
"""Differences of accuracy that matter, a fraction: smaller ones are not reported."""
DROWNED_MARGIN = 0.03
"""Of a drowned modality's encoder the probe is so much worse, or more; a fraction."""
SHARE_RATIO = 1.3
"""A modality dominates whose share of the right answers is so many times an equal one, or more,
and whose interval lies above that. Of two that are drawn alike, one has up to 1.2 times it."""
LEVEL = 0.95
"""Of an interval; of those of several modalities, that no difference lies above its interval."""

Interval = tuple[float, float] | None


@dataclasses.dataclass(frozen=True)
class Difference:
    """A mean over seeds of paired differences.

    Attributes:
      mean: NaN without a seed.
      interval: Student's, over seeds; None of fewer than two.
    """

    mean: float
    interval: Interval

    def is_above(self, margin: float = 0.0) -> bool:
        """Whether the whole interval is."""
        return self.interval is not None and self.interval[0] > margin

    def is_below(self, margin: float = 0.0) -> bool:
        """Whether the whole interval is."""
        return self.interval is not None and self.interval[1] < margin


@dataclasses.dataclass(frozen=True)
class ModalityFinding:
    """One modality; accuracies and shares are fractions, means over seeds.

    Attributes:
      alone: accuracy of a linear probe on its encoder trained alone.
      joint_probe: of one on its encoder trained jointly by the fusion loss.
      difference: the second less the first.
      interval: of the difference; that no modality's lies above its own, holds with `LEVEL`.
      supervised_probe: of a probe on its encoder trained jointly with unimodal losses.
      head_alone: accuracy of its own head, trained alone.
      is_informative: whether it says something of the class by itself.
      is_drowned: whether the difference is below ``-DROWNED_MARGIN``, and the interval below 0, of
        an informative modality that does not dominate.
      logit_share: of the logits of the joint network.
      answer_share: of what it gets right beyond guessing; NaN where that is next to nothing.
      answer_share_interval: of that share.
      first_gradient_share: of the encoders' gradients before the first step.
      last_gradient_share: of those after the last one.
      alignment: γ, averaged over training with unimodal losses; None where it was not logged.
      dominant_share: of the steps in which MASAM would have chosen it; None likewise.
      gap_alone: training less reported accuracy of its head, trained alone.
      gap_supervised: the same, trained jointly with unimodal losses.
    """

    alone: float
    joint_probe: float
    difference: float
    interval: Interval
    supervised_probe: float
    head_alone: float
    is_informative: bool
    is_drowned: bool
    logit_share: float
    answer_share: float
    answer_share_interval: Interval
    first_gradient_share: float
    last_gradient_share: float
    alignment: float | None
    dominant_share: float | None
    gap_alone: float
    gap_supervised: float


@dataclasses.dataclass(frozen=True)
class FusionFinding:
    """The fused prediction; accuracies are fractions, means over seeds.

    Attributes:
      joint: trained jointly by the fusion loss.
      best: the modality that is best alone, by the validation samples.
      best_alone: its accuracy.
      mean_of_alone: of the average of the predictions of the modalities trained alone.
      difference: joint less best alone.
      interval: of that difference.
      over_mean: joint less mean of alone.
      over_mean_interval: of that difference.
      supervised: trained jointly with unimodal losses.
      over_supervised: joint less that.
      over_supervised_interval: of that difference.
      gap: training less reported accuracy of the joint prediction.
    """

    joint: float
    best: str
    best_alone: float
    mean_of_alone: float
    difference: float
    interval: Interval
    over_mean: float
    over_mean_interval: Interval
    supervised: float
    over_supervised: float
    over_supervised_interval: Interval
    gap: float


@dataclasses.dataclass(frozen=True)
class Remedy:
    """Something that answers what was found.

    Attributes:
      name: a method's specification, or an option.
      why: what it does about it.
      command: to try it.
    """

    name: str
    why: str
    command: str


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """What was found, and what answers it.

    Attributes:
      verdict: three sentences.
      drowned: names of the modalities whose encoders joint training leaves worse; none when
        nothing is wrong.
      dominant: the modality that most of the right answers are due to, where another says nothing
        or an encoder is worse than alone; None elsewhere, and where no share stands out.
      modalities: what was found of each.
      fusion: what was found of the prediction.
      remedies: the methods that answer it.
      dataset: the data set's name.
      split: the samples that accuracies are of.
      chance: accuracy of always saying the most frequent class.
      seeds: those that did not diverge.
      diverged: those that did, and count for nothing.
    """

    verdict: str
    drowned: tuple[str, ...]
    dominant: str | None
    modalities: dict[str, ModalityFinding]
    fusion: FusionFinding
    remedies: tuple[Remedy, ...]
    dataset: str
    split: str
    chance: float
    seeds: tuple[int, ...]
    diverged: tuple[int, ...]

    @property
    def informative(self) -> tuple[str, ...]:
        """The modalities that say something of the class by themselves."""
        return tuple(m for m, each in self.modalities.items() if each.is_informative)

    @property
    def undecided(self) -> tuple[str, ...]:
        """Modalities that may be informative, which the seeds cannot tell."""
        floor = self.chance + DROWNED_MARGIN
        return tuple(
            m
            for m, each in self.modalities.items()
            if not each.is_informative and max(each.alone, each.head_alone) > floor
        )

    @property
    def suspects(self) -> tuple[str, ...]:
        """Modalities that may be drowned, which the seeds cannot tell; the likeliest first."""
        found = [
            m
            for m, each in self.modalities.items()
            if each.is_informative
            and not each.is_drowned
            and m != self.dominant
            and each.difference < -DROWNED_MARGIN
        ]
        return tuple(sorted(found, key=lambda m: self.modalities[m].difference))

    @property
    def fusion_is_worse(self) -> bool:
        """Whether joint training ends below its best modality, or the average of all, alone."""
        fusion = self.fusion
        ends = (fusion.interval, fusion.over_mean_interval)
        return any(interval is not None and interval[1] < -MARGIN for interval in ends)

    @property
    def is_anything_wrong(self) -> bool:
        """Whether there is something to answer."""
        fused = self.fusion.joint > self.chance + MARGIN
        nothing_learned = not self.informative and not fused
        return bool(self.drowned) or self.fusion_is_worse or nothing_learned or bool(self.diverged)

    def as_json(self) -> dict[str, Any]:
        """The content of ``diagnosis.json``."""
        return dataclasses.asdict(self)


def conclude(observed: Observations) -> Diagnosis:
    """A diagnosis without verdict and remedies.

    Args:
      observed: what was measured.
    """
    modalities = {m: _modality(observed, m) for m in observed.modalities}
    dominant = _dominant(modalities)
    if dominant is not None:
        modalities[dominant] = dataclasses.replace(modalities[dominant], is_drowned=False)
        # Where every modality has its say, the one that knows more has a larger share by right.
        if not any(_is_cut_short(each) for each in modalities.values()):
            dominant = None
    return Diagnosis(
        verdict="",
        drowned=tuple(m for m, each in modalities.items() if each.is_drowned),
        dominant=dominant,
        modalities=modalities,
        fusion=_fusion(observed),
        remedies=(),
        dataset=observed.dataset,
        split=observed.split,
        chance=observed.chance,
        seeds=observed.seeds,
        diverged=observed.diverged,
    )


def _modality(observed: Observations, m: str) -> ModalityFinding:
    count = len(observed.modalities)
    alone, joint = observed.probe_alone[m], observed.probe_joint[m]
    difference = _difference(joint, alone, count)
    heads = _difference(observed.alone[m], np.full_like(alone, observed.chance), count)
    probes = _difference(alone, np.full_like(alone, observed.chance), count)
    is_informative = heads.is_above(MARGIN) or probes.is_above(MARGIN)
    share = _difference(observed.answer_share[m], np.zeros_like(alone), count)
    return ModalityFinding(
        alone=_mean(alone),
        joint_probe=_mean(joint),
        difference=difference.mean,
        interval=difference.interval,
        supervised_probe=_mean(observed.probe_supervised[m]),
        head_alone=_mean(observed.alone[m]),
        is_informative=is_informative,
        is_drowned=is_informative and difference.is_below() and difference.mean < -DROWNED_MARGIN,
        logit_share=_mean(observed.logit_share[m]),
        answer_share=share.mean,
        answer_share_interval=share.interval,
        first_gradient_share=_mean(observed.first_gradient_share[m]),
        last_gradient_share=_mean(observed.last_gradient_share[m]),
        alignment=_mean(observed.alignment[m]) if m in observed.alignment else None,
        dominant_share=_mean(observed.dominant_share[m]) if m in observed.dominant_share else None,
        gap_alone=_mean(observed.gap_alone[m]),
        gap_supervised=_mean(observed.gap_supervised[m]),
    )


def _fusion(observed: Observations) -> FusionFinding:
    # Chosen on other samples than those that are reported, which would flatter it.
    best = max(observed.modalities, key=lambda m: _mean(observed.alone_validation[m]))
    over_best = _difference(observed.joint, observed.alone[best])
    over_mean = _difference(observed.joint, observed.mean_of_alone)
    over_supervised = _difference(observed.joint, observed.supervised)
    return FusionFinding(
        joint=_mean(observed.joint),
        best=best,
        best_alone=_mean(observed.alone[best]),
        mean_of_alone=_mean(observed.mean_of_alone),
        difference=over_best.mean,
        interval=over_best.interval,
        over_mean=over_mean.mean,
        over_mean_interval=over_mean.interval,
        supervised=_mean(observed.supervised),
        over_supervised=over_supervised.mean,
        over_supervised_interval=over_supervised.interval,
        gap=_mean(observed.gap_joint),
    )


def _dominant(modalities: dict[str, ModalityFinding]) -> str | None:
    largest = max(modalities, key=lambda m: np.nan_to_num(modalities[m].answer_share))
    share, interval = modalities[largest].answer_share, modalities[largest].answer_share_interval
    equal = 1 / len(modalities)
    is_certain = interval is not None and interval[0] > equal
    return largest if is_certain and share >= equal * SHARE_RATIO else None


def _is_cut_short(each: ModalityFinding) -> bool:
    return not each.is_informative or each.difference < -DROWNED_MARGIN


def _difference(values: np.ndarray, baseline: np.ndarray, comparisons: int = 1) -> Difference:
    """Paired by seed; with its interval.

    To be drowned is a claim of one side: of several comparisons, the upper ends hold together
    (Bonferroni), and so do the lower ones.
    """
    if not values.size:
        return Difference(float("nan"), None)
    test: PairedTest = paired_test(list(values), list(baseline))
    if test.mean_difference is None:
        return Difference(float("nan"), None)
    outside = (1 - LEVEL) * (1 if comparisons == 1 else 2 / comparisons)
    return Difference(test.mean_difference, test.interval(1 - outside))


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")
