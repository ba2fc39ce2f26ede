"""Tables and sentences of `experiments.dynamics`."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from experiments.paper import FinishedRun
from experiments.removal import ByModality, chance, hits, regret, share_interval
from masam_jax.analysis import summarize
from masam_jax.analysis.formatting import scientific
from masam_jax.analysis.records import MethodRecord
from masam_jax.analysis.result_table import (
    Cell,
    ResultTable,
    summary_cell,
    text_cell,
    with_best,
)

_MASKED, _LEFT_OUT = "masked at test", "left out of training"


class Case(NamedTuple):
    """A trained network under a condition, and what removing each modality costs it.

    Attributes:
      words: the condition.
      run: its run.
      name: the method, in the run's plan.
      costs: of masking each modality at test, fractions ``[S]``.
    """

    words: str
    run: FinishedRun
    name: str
    costs: ByModality

    @property
    def scores(self) -> np.ndarray:
        """Of the whole network, fractions ``[S]``."""
        return np.array(self.run.scores(self.name), np.float64)

    @property
    def method(self) -> MethodRecord:
        """What is recorded of the method."""
        return self.run.method(self.name)

    def traced(self, key: str) -> dict[str, np.ndarray]:
        """A logged quantity by modality, ``[T, S]``."""
        curves = {m: self.method.curve("train", key, m) for m in self.costs}
        return {m: curve.values for m, curve in curves.items() if curve is not None}

    @property
    def shares(self) -> dict[str, np.ndarray]:
        """Of all steps, those on which each modality was dominant."""
        return {m: values[-1] for m, values in self.traced("dominant_share").items()}


def _early(case: Case) -> dict[str, np.ndarray]:
    """The shares of the first quarter of the logged steps."""
    shares = case.traced("dominant_share")
    return {m: values[max(0, len(values) // 4 - 1)] for m, values in shares.items()}


def _mean(key: str) -> Callable[[Case], dict[str, np.ndarray]]:
    return lambda case: {m: values.mean(axis=0) for m, values in case.traced(key).items()}


def _heads(case: Case) -> dict[str, np.ndarray]:
    """The validation scores of the modalities' own heads."""
    found = case.method.result["validation"][f"unimodal_{case.run.record.metric}"]
    return {m: np.array(found[m], np.float64) for m in case.costs}


RULES: dict[str, Callable[[Case], dict[str, np.ndarray]]] = {
    "APS: dominant on most steps": lambda case: case.shares,
    "APS in the first quarter": _early,
    "largest γ, mean over steps": _mean("alignment"),
    "largest Decay, mean over steps": _mean("decay"),
    "largest fusion gradient, mean over steps": _mean("fusion_gradient_norm"),
    "best own head, validation": _heads,
}
"""What may name the modality that the network needs most -> its value of each."""

_APS, _OWN_HEAD = next(iter(RULES)), list(RULES)[-1]


def choice_table(
    name: str, dataset: str, cases: Sequence[Case], left_out: ByModality
) -> ResultTable:
    """Who was chosen and whose removal costs most, a condition a row."""
    rows = []
    for case in cases:
        found = hits(case.shares, case.costs)
        lost = 100 * regret(case.shares, case.costs)
        rows.append(
            (
                text_cell(case.words),
                summary_cell(summarize(list(case.scores)), scale=100),
                _most(case.shares, 100, "% of steps"),
                _most(case.costs, 100, "points"),
                _share_cell(found),
                summary_cell(summarize(list(lost))),
                Cell(f"{100 * chance(case.costs):.0f}", {"": chance(case.costs)}),
                _counted(case, "argmax_agreement"),
                _counted(case, "switching_rate"),
            )
        )
    headings = (
        "Condition",
        "Score, %",
        "Chosen most often",
        "Costs most, masked",
        "Seeds on which these agree",
        "Regret, points",
        "Chance, %",
        "As γ alone, % of steps",
        "Switches, % of steps",
    )
    worst = _most(left_out, 100, "points").text
    caption = (
        "Chosen most often: the modality of the largest mean share of dominant steps. Costs most:"
        " of the largest mean fall of the test score when no test sample has it (zeros after"
        " standardisation). They agree on a seed where that seed's own two are the same; in"
        " brackets Wilson's 95 % interval over seeds, which share their test samples. Regret: by"
        " how many points the removal of the chosen one costs less than the most. Chance: of a"
        " modality drawn at random. As γ alone: steps on which the largest score was that of the"
        " largest γ; switches: steps whose choice was another one than the step's before. As it is,"
        f" with a network trained without each: {worst} costs most. The last row is of the network"
        " that MASAM trained, the others are of late fusion."
    )
    return ResultTable(name, f"Choice and removal on {dataset}", headings, tuple(rows), caption)


def rule_table(name: str, dataset: str, cases: Sequence[Case], left_out: ByModality) -> ResultTable:
    """How many seeds each rule is right on, a condition a column."""
    rows = []
    for rule, value in RULES.items():
        right = [hits(value(case), case.costs) for case in cases]
        right.insert(1, hits(value(cases[0]), left_out))
        rows.append((text_cell(rule), *(_count_cell(found) for found in right)))
    words = [case.words for case in cases]
    headings = ("Rule", f"{words[0]}, masked", f"{words[0]}, left out", *words[1:])
    shown = tuple(rows)
    for place in range(1, len(headings)):
        shown = with_best(shown, place, of="")
    caption = (
        "Seeds on which the rule names the modality whose removal costs most: masked at test, and"
        " in the second column left out of training. A rule that gives several the same largest"
        " value names nobody."
    )
    return ResultTable(name, f"Which rule names it, {dataset}", headings, shown, caption)


def modality_table(name: str, dataset: str, case: Case, left_out: ByModality) -> ResultTable:
    """Every modality as the data are."""
    dominant, _, alignment, decay, gradient, heads = (rule(case) for rule in RULES.values())
    rows = tuple(
        (
            text_cell(m),
            summary_cell(summarize(list(dominant[m])), 1, scale=100),
            summary_cell(summarize(list(alignment[m]))),
            _tiny_cell(float(decay[m].mean())),
            summary_cell(summarize(list(gradient[m])), 4),
            *(
                summary_cell(summarize(list(each[m])), scale=100)
                for each in (heads, case.costs, left_out)
            ),
        )
        for m in case.costs
    )
    headings = (
        "Modality",
        "Dominant, % of steps",
        "γ",
        "Decay, nats",
        "Fusion gradient",
        "Own head, %",
        f"Cost {_MASKED}, points",
        f"Cost {_LEFT_OUT}, points",
    )
    caption = (
        "As the data are: mean ± standard deviation over seeds; γ, Decay and norms over steps."
    )
    return ResultTable(name, f"Modalities of {dataset}", headings, rows, caption)


def remark(cases: Sequence[Case], where: str) -> str:
    """How often the score is right, beside chance and beside the modality's own head."""
    pooled = {
        rule: np.concatenate([hits(f(c), c.costs) for c in cases]) for rule, f in RULES.items()
    }
    by_chance = np.mean([chance(case.costs) for case in cases])
    aps, head = pooled[_APS], pooled[_OWN_HEAD]
    best = max(pooled, key=lambda rule: int(pooled[rule].sum()))
    low, high = share_interval(aps)
    return (
        f"{where}, masked at test: the modality that the score chose most often was the one whose"
        f" removal costs most on {aps.sum()} of {aps.size} networks ({100 * aps.mean():.0f} %,"
        f" 95 % interval {100 * low:.0f} to {100 * high:.0f}; by chance {100 * by_chance:.0f} %)."
        f" The best own head named it on {head.sum()}; of all rules, “{best}” did most often, on"
        f" {pooled[best].sum()}."
    )


def by_condition(cases: Mapping[str, Sequence[Case]]) -> str:
    """On how many networks the score is right, condition by condition.

    Args:
      cases: the condition in words -> its cases, of all data.
    """
    counts = []
    for words, each in cases.items():
        found = np.concatenate([hits(case.shares, case.costs) for case in each])
        by_chance = np.mean([chance(case.costs) for case in each])
        counts.append(f"{words} {found.sum()} of {found.size} (chance {100 * by_chance:.0f} %)")
    return f"By condition: {', '.join(counts)}."


def left_out_remark(cases: Sequence[tuple[Case, ByModality]]) -> str:
    """On how many networks the score is right about what is left out of training.

    Args:
      cases: of the data as they are, each with the costs of leaving modalities out.
    """
    found = np.concatenate([hits(case.shares, costs) for case, costs in cases])
    heads = np.concatenate([hits(RULES[_OWN_HEAD](case), costs) for case, costs in cases])
    return (
        "Left out of training, a network trained without each, as the data are: the score named the"
        f" modality that costs most on {found.sum()} of {found.size} seeds, the best own head on"
        f" {heads.sum()}."
    )


def _tiny_cell(value: float) -> Cell:
    """A number of any size, or exactly nothing."""
    return Cell(scientific(value) if value else "0", {"": value})


def _counted(case: Case, key: str) -> Cell:
    """A share that was counted over all steps, in percent."""
    curve = case.method.curve("train", key)
    return summary_cell(
        summarize([None] if curve is None else list(curve.values[-1])), 1, scale=100
    )


def _most(values: ByModality, scale: float, unit: str) -> Cell:
    means = {m: float(np.mean(each)) for m, each in values.items()}
    first = max(means, key=means.__getitem__)
    return Cell(f"{first} ({scale * means[first]:.1f} {unit})")


def _share_cell(found: np.ndarray) -> Cell:
    low, high = share_interval(found)
    text = f"{found.sum()} of {found.size} [{100 * low:.0f}, {100 * high:.0f} %]"
    return Cell(text, {"": float(found.mean()), "low": low, "high": high})


def _count_cell(found: np.ndarray) -> Cell:
    return Cell(f"{found.sum()} of {found.size}", {"": float(found.mean())})
