"""One method's line in a table: the numbers, and how a reader sees them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from masam_jax.analysis import formatting
from masam_jax.analysis.paired_evidence import PairedEvidence
from masam_jax.analysis.primary_metric import is_regression, probe_metric
from masam_jax.analysis.statistics import PairedTest, Summary
from masam_jax.training.metric_names import phrase, title

# What a p-value after Holm's correction must be below, wherever significance is claimed.
SIGNIFICANCE = 0.05

# Measured beside what is compared, accuracy and macro-F1.
FURTHER_METRICS = ("balanced_accuracy", "micro_f1", "weighted_f1")

_UNMEASURED = Summary(None, None, 0)

# Columns that compare, and so say nothing about one method alone.
_COMPARING = frozenset(
    {"Difference, points", "Difference", "p (paired t)", "p (Holm)", "p (Wilcoxon)", "FLOPs ×"}
)


@dataclass(frozen=True)
class Row:
    """One method of the comparison table; scores are fractions.

    Attributes:
      title: the method's name.
      spec: what selects it on the command line.
      is_baseline: whether the others are compared with it.
      is_best: whether no method has a higher mean score.
      score: what is compared, `metric` on the reported split, over seeds.
      accuracy: the accuracy, whatever the metric.
      difference: that score against the baseline's, paired by seed; ``None`` for itself.
      p_holm: the paired t-test's p-value, corrected for all comparisons of the table.
      macro_f1: macro-averaged F1.
      balanced_accuracy: the classes' mean recall.
      micro_f1: F1 with all classes' counts in one pool.
      weighted_f1: F1 weighted by how often each class occurs.
      probe: accuracy, or R², of linear probes on the frozen encoders, averaged over modalities.
      unimodal: score of the modalities' own heads, averaged over modalities.
      fusion_loss: mean fusion cross-entropy, in nats, or error of standardised targets.
      steps_per_second: training steps of all seeds together, without compilation; ``None`` if it
          was not recorded, as the next four.
      flops_per_step: XLA's estimate of the operations of one training step of all seeds.
      flops_ratio: that number over the one of late fusion, or of the baseline without it.
      seconds: wall-clock of training all seeds.
      compile_seconds: wall-clock of compiling.
      split: the reported split, "test" or "validation".
      metric: name of the score.
      evidence: what the differences say beside the tests; ``None`` as `difference`.
      mae: of regression, the mean absolute error in the targets' units.
      rmse: likewise the root of the mean squared error.
    """

    title: str
    spec: str
    is_baseline: bool
    is_best: bool
    score: Summary
    accuracy: Summary
    difference: PairedTest | None
    p_holm: float | None
    macro_f1: Summary
    balanced_accuracy: Summary
    micro_f1: Summary
    weighted_f1: Summary
    probe: Summary
    unimodal: Summary
    fusion_loss: Summary
    steps_per_second: float | None
    flops_per_step: float | None
    flops_ratio: float | None
    seconds: float | None
    compile_seconds: float | None
    split: str = "test"
    metric: str = "accuracy"
    evidence: PairedEvidence | None = None
    mae: Summary = _UNMEASURED
    rmse: Summary = _UNMEASURED

    @property
    def is_significant(self) -> bool:
        """Whether it differs from the baseline after Holm's correction, up or down."""
        return self.p_holm is not None and self.p_holm < SIGNIFICANCE

    def cells(self) -> dict[str, str]:
        """Column heading to text, as a reader sees it."""
        test = self.difference
        return {
            "Method": self.title,
            f"{self.split.capitalize()} {phrase(self.metric)}, %": formatting.percent(self.score),
            **self._beside("macro_f1"),
            "Difference, points": self._difference(),
            "p (paired t)": formatting.p_value(test.p_value if test else None),
            "p (Holm)": formatting.p_value(self.p_holm),
            f"Mean probe {phrase(probe_metric(self.metric))}, %": formatting.percent(self.probe),
            "Steps/s": formatting.rate(self.steps_per_second),
            "FLOPs ×": formatting.number(self.flops_ratio),
        }

    def further_cells(self) -> dict[str, str]:
        """What the main table leaves out for want of room."""
        test = self.difference
        return {
            "Method": self.title,
            "p (Wilcoxon)": formatting.p_value(test.wilcoxon_p_value if test else None),
            **self._unless_compared("accuracy"),
            f"Mean unimodal {phrase(self.metric)}, %": formatting.percent(self.unimodal),
            loss_heading(self.metric): formatting.mean_and_std(self.fusion_loss, 3),
            **self._unless_compared(*FURTHER_METRICS),
            "FLOPs per step": formatting.scientific(self.flops_per_step),
            "Seconds": formatting.seconds(self.seconds),
            "of these compiling": formatting.seconds(self.compile_seconds),
        }

    def evidence_cells(self) -> dict[str, str]:
        """How sure the difference is, and how large; a dash for what is undefined."""
        found = self.evidence or PairedEvidence()
        effect, equal = found.effect, found.equivalence
        test = self.difference
        seeds = found.seeds_needed
        return {
            "Method": self.title,
            "Difference, points": self._difference(),
            "95 % interval": formatting.interval(test.interval() if test else None),
            "Bootstrap interval": formatting.interval(found.interval),
            "Effect d_z": formatting.number(effect.d_z if effect else None, signed=True),
            "Hedges' g": formatting.number(effect.hedges if effect else None, signed=True),
            "p (equal)": formatting.p_value(equal.p_value if equal else None),
            "Seeds for a point": formatting.DASH if seeds is None else str(seeds),
        }

    def terminal_cells(self) -> dict[str, str]:
        """The main table in 100 columns: without the uncorrected p, and with shorter headings."""
        return {
            "Method": self.title,
            f"{title(self.metric)}, %": formatting.percent(self.score),
            **self._beside("macro_f1"),
            "Difference": self._difference(),
            "p (Holm)": formatting.p_value(self.p_holm),
            "Probe, %": formatting.mean_percent(self.probe),
            "Steps/s": formatting.rate(self.steps_per_second),
            "FLOPs ×": formatting.number(self.flops_ratio),
        }

    def numbers(self) -> dict[str, Any]:
        """Column name to number in full precision; ``None`` for what is undefined."""
        test = self.difference
        return {
            "method": self.title,
            "spec": self.spec,
            "split": self.split,
            "seeds": self.score.count,
            f"{self.metric}_mean": self.score.mean,
            f"{self.metric}_std": self.score.std,
            **(
                self._mean_and_std("mae", "rmse")
                if is_regression(self.metric)
                else self._mean_and_std("accuracy", "macro_f1", *FURTHER_METRICS)
            ),
            "difference_mean": test.mean_difference if test else None,
            "difference_std": test.std_difference if test else None,
            "t_statistic": test.t_statistic if test else None,
            "p_paired_t": test.p_value if test else None,
            "p_paired_t_holm": self.p_holm,
            "p_wilcoxon": test.wilcoxon_p_value if test else None,
            **self._evidence_numbers(),
            f"probe_{probe_metric(self.metric)}_mean": self.probe.mean,
            f"probe_{probe_metric(self.metric)}_std": self.probe.std,
            f"unimodal_{self.metric}_mean": self.unimodal.mean,
            f"unimodal_{self.metric}_std": self.unimodal.std,
            "fusion_loss_mean": self.fusion_loss.mean,
            "fusion_loss_std": self.fusion_loss.std,
            "steps_per_second": self.steps_per_second,
            "flops_per_step": self.flops_per_step,
            "flops_ratio": self.flops_ratio,
            "seconds": self.seconds,
            "compile_seconds": self.compile_seconds,
        }

    def _evidence_numbers(self) -> dict[str, float | None]:
        found = self.evidence or PairedEvidence()
        effect, equal = found.effect, found.equivalence
        student = self.difference.interval() if self.difference else None
        low, high = student or (None, None)
        bootstrap_low, bootstrap_high = found.interval or (None, None)
        return {
            "difference_low": low,
            "difference_high": high,
            "difference_bootstrap_low": bootstrap_low,
            "difference_bootstrap_high": bootstrap_high,
            "effect_d_z": effect.d_z if effect else None,
            "effect_hedges": effect.hedges if effect else None,
            "p_equivalence": equal.p_value if equal else None,
            "equivalence_margin": equal.margin if equal else None,
            "seeds_for_margin": found.seeds_needed,
        }

    def _beside(self, *metrics: str) -> dict[str, str]:
        """The columns beside the score: these, or of regression the errors."""
        if is_regression(self.metric):
            return {"MAE": formatting.in_units(self.mae), "RMSE": formatting.in_units(self.rmse)}
        return self._unless_compared(*metrics)

    def _unless_compared(self, *metrics: str) -> dict[str, str]:
        """The columns of those that are not the score itself; none of regression."""
        if is_regression(self.metric):
            return {}
        return {
            f"{title(name)}, %": formatting.percent(getattr(self, name))
            for name in metrics
            if name != self.metric
        }

    def _mean_and_std(self, *metrics: str) -> dict[str, float | None]:
        found = {name: getattr(self, name) for name in metrics}
        return {
            f"{name}_{what}": getattr(summary, what)
            for name, summary in found.items()
            for what in ("mean", "std")
        }

    def _difference(self) -> str:
        if self.is_baseline:
            return "baseline"
        mean = self.difference.mean_difference if self.difference else None
        return formatting.number(None if mean is None else mean * 100, signed=True)


@dataclass(frozen=True)
class UnimodalRow:
    """One method, modality by modality: the score (a fraction) of its own head, or of a probe."""

    title: str
    spec: str
    is_baseline: bool
    scores: dict[str, Summary]
    metric: str = "accuracy"

    def cells(self) -> dict[str, str]:
        """Column heading to text, as a reader sees it."""
        return {"Method": self.title} | {
            f"{modality}, %": formatting.percent(summary)
            for modality, summary in self.scores.items()
        }

    def terminal_cells(self) -> dict[str, str]:
        """The same: there is room."""
        return self.cells()

    def numbers(self) -> dict[str, Any]:
        """Column name to number in full precision; ``None`` for what is undefined."""
        row: dict[str, Any] = {"method": self.title, "spec": self.spec}
        for modality, summary in self.scores.items():
            row[f"{modality}_{self.metric}_mean"] = summary.mean
            row[f"{modality}_{self.metric}_std"] = summary.std
        return row


def loss_heading(metric: str) -> str:
    """What a table calls the fusion loss; errors of standardised targets have no unit."""
    return "Fusion loss" if is_regression(metric) else "Fusion loss, nats"


Rows: TypeAlias = Sequence[Row | UnimodalRow]


def is_emphasized(row: Row | UnimodalRow, rows: Rows) -> bool:
    """Whether a row is the best of several; a good fused result says nothing about the heads."""
    return isinstance(row, Row) and row.is_best and len(rows) > 1


def shown_cells(lines: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Lines of one table, without the columns that compare where there is nothing to compare.

    Args:
      lines: ``cells()``, ``further_cells()`` or ``terminal_cells()`` of every row.

    Returns:
      The lines to show.
    """
    if len(lines) > 1:
        return list(lines)
    return [{k: v for k, v in line.items() if k not in _COMPARING} for line in lines]
