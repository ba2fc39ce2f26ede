"""Result tables, and the three ways to write one: Markdown, CSV, and the terminal."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from rich.table import Table
from rich.text import Text

from masam_jax.analysis import formatting
from masam_jax.analysis.records import reported_split
from masam_jax.analysis.statistics import PairedTest, Summary, paired_test, summarize


@dataclass(frozen=True)
class Row:
    """One method of the comparison table; accuracies and F1 are fractions.

    Attributes:
        title: the method's name.
        spec: what selects it on the command line.
        is_baseline: whether the others are compared with it.
        is_best: whether no method has a higher mean accuracy.
        accuracy: accuracy on the reported split, over seeds.
        difference: that accuracy against the baseline's, paired by seed; `None` for itself.
        macro_f1: macro-averaged F1.
        fusion_loss: mean fusion cross-entropy, in nats.
        seconds: wall-clock of training all seeds; `None` if it was not recorded.
        compile_seconds: wall-clock of compiling; `None` if it was not recorded.
        split: the reported split, "test" or "validation".
    """

    title: str
    spec: str
    is_baseline: bool
    is_best: bool
    accuracy: Summary
    difference: PairedTest | None
    macro_f1: Summary
    fusion_loss: Summary
    seconds: float | None
    compile_seconds: float | None
    split: str = "test"

    def cells(self) -> dict[str, str]:
        """Column heading to text, as a reader sees it."""
        test = self.difference
        mean = None if test is None or test.mean_difference is None else test.mean_difference
        return {
            "Method": self.title,
            f"{self.split.capitalize()} accuracy, %": formatting.percent(self.accuracy),
            "Difference, points": (
                "baseline"
                if self.is_baseline
                else formatting.number(None if mean is None else mean * 100, signed=True)
            ),
            "p (paired t)": formatting.p_value(test.p_value if test else None),
            "p (Wilcoxon)": formatting.p_value(test.wilcoxon_p_value if test else None),
            "Macro-F1, %": formatting.percent(self.macro_f1),
            "Fusion loss, nats": formatting.mean_and_std(self.fusion_loss, 3),
            "Seconds": formatting.DASH
            if self.seconds is None
            else formatting.seconds(self.seconds),
        }

    def numbers(self) -> dict[str, Any]:
        """Column name to number in full precision; `None` for what is undefined."""
        test = self.difference
        return {
            "method": self.title,
            "spec": self.spec,
            "split": self.split,
            "seeds": self.accuracy.count,
            "accuracy_mean": self.accuracy.mean,
            "accuracy_std": self.accuracy.std,
            "difference_mean": test.mean_difference if test else None,
            "difference_std": test.std_difference if test else None,
            "t_statistic": test.t_statistic if test else None,
            "p_paired_t": test.p_value if test else None,
            "p_wilcoxon": test.wilcoxon_p_value if test else None,
            "macro_f1_mean": self.macro_f1.mean,
            "macro_f1_std": self.macro_f1.std,
            "fusion_loss_mean": self.fusion_loss.mean,
            "fusion_loss_std": self.fusion_loss.std,
            "seconds": self.seconds,
            "compile_seconds": self.compile_seconds,
        }


@dataclass(frozen=True)
class UnimodalRow:
    """One method of the unimodal table: accuracy (a fraction) of each modality's own head."""

    title: str
    spec: str
    is_baseline: bool
    accuracy: dict[str, Summary]

    def cells(self) -> dict[str, str]:
        """Column heading to text, as a reader sees it."""
        return {"Method": self.title} | {
            f"{modality}, %": formatting.percent(summary)
            for modality, summary in self.accuracy.items()
        }

    def numbers(self) -> dict[str, Any]:
        """Column name to number in full precision; `None` for what is undefined."""
        row: dict[str, Any] = {"method": self.title, "spec": self.spec}
        for modality, summary in self.accuracy.items():
            row[f"{modality}_accuracy_mean"] = summary.mean
            row[f"{modality}_accuracy_std"] = summary.std
        return row


Rows: TypeAlias = Sequence[Row] | Sequence[UnimodalRow]


def comparison_table(results: dict[str, Any]) -> list[Row]:
    """The main table: every method of `results.json`, in its order, against the baseline.

    Args:
        results: the content of `results.json`, or of `result.json` (one method, no baseline).

    Returns:
        One row per method.

    Raises:
        ValueError: if the baseline is missing, a method has other seeds than the baseline, or the
            methods were not evaluated on the same split.
    """
    methods = _methods(results)
    baseline = next((m for m in methods if m["spec"] == results.get("baseline")), None)
    if baseline is None and len(methods) > 1:
        raise ValueError(
            f"baseline {results.get('baseline')!r} is not among the methods "
            f"{[method['spec'] for method in methods]}"
        )
    split = reported_split(methods)
    best = _best_specs(methods, split)
    if len(methods) == 1:
        baseline = None
    return [_row(method, baseline, split, method["spec"] in best) for method in methods]


def unimodal_table(results: dict[str, Any]) -> list[UnimodalRow]:
    """Accuracy of every modality's own head, per method; methods without heads are left out.

    Args:
        results: the content of `results.json`, or of `result.json`.

    Returns:
        One row per method, all with the same modalities in sorted order.
    """
    every = _methods(results)
    split = reported_split(every)
    methods = [m for m in every if m[split].get("unimodal_accuracy")]
    modalities = sorted({name for m in methods for name in m[split]["unimodal_accuracy"]})
    return [
        UnimodalRow(
            title=method["title"],
            spec=method["spec"],
            is_baseline=method["spec"] == results.get("baseline") and len(every) > 1,
            accuracy={
                name: _summary(method, method[split]["unimodal_accuracy"].get(name))
                for name in modalities
            },
        )
        for method in methods
    ]


def is_emphasized(row: Row | UnimodalRow, rows: Rows) -> bool:
    """Whether a row is the best of several; a good fused result says nothing about the heads."""
    return isinstance(row, Row) and row.is_best and len(rows) > 1


def to_markdown(rows: Rows) -> str:
    """A Markdown table, the best accuracy in bold; empty for no rows."""
    if not rows:
        return ""
    headings = list(rows[0].cells())
    lines = [_markdown_line(headings), _markdown_line([":--", *["--:"] * (len(headings) - 1)])]
    for row in rows:
        cells = [text.replace("|", "\\|") for text in row.cells().values()]
        if is_emphasized(row, rows):
            cells[1] = f"**{cells[1]}**"
        lines.append(_markdown_line(cells))
    return "\n".join(lines) + "\n"


def to_csv(rows: Rows) -> str:
    """Comma-separated numbers in full precision; undefined ones are empty fields."""
    if not rows:
        return ""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0].numbers()), lineterminator="\n")
    writer.writeheader()
    writer.writerows(row.numbers() for row in rows)
    return stream.getvalue()


def to_rich(rows: Rows, title: str | None = None) -> Table:
    """A table for the terminal, the best method in bold and the baseline dimmed."""
    table = Table(title=title, title_justify="left")
    if not rows:
        return table
    for position, heading in enumerate(rows[0].cells()):
        table.add_column(heading, justify="left" if position == 0 else "right", no_wrap=False)
    for row in rows:
        style = "bold" if is_emphasized(row, rows) else "dim" if row.is_baseline else None
        # Text, not markup: a title such as "MASAM [all]" would lose its brackets.
        table.add_row(*(Text(text) for text in row.cells().values()), style=style)
    return table


def _markdown_line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _methods(results: dict[str, Any]) -> list[dict[str, Any]]:
    methods = results.get("methods", [results])
    if not methods:
        raise ValueError("results has no methods; at least one is needed")
    return list(methods)


def _best_specs(methods: Sequence[dict[str, Any]], split: str) -> set[str]:
    means = {m["spec"]: summarize(m[split]["accuracy"]).mean for m in methods}
    finite = [mean for mean in means.values() if mean is not None]
    return {spec for spec, mean in means.items() if finite and mean == max(finite)}


def _summary(method: dict[str, Any], values: Sequence[float | None] | None) -> Summary:
    """A metric's summary; one that a method did not record is undefined, not an error."""
    return summarize(values) if values else Summary(None, None, len(method["seeds"]))


def _row(method: dict[str, Any], baseline: dict[str, Any] | None, split: str, is_best: bool) -> Row:
    metrics = method[split]
    difference = None
    if baseline is not None and method is not baseline:
        if method["seeds"] != baseline["seeds"]:
            raise ValueError(
                f"{method['spec']!r} has the seeds {method['seeds']} and the baseline "
                f"{baseline['spec']!r} has {baseline['seeds']}; a paired test needs the same"
            )
        difference = paired_test(metrics["accuracy"], baseline[split]["accuracy"])
    return Row(
        title=method["title"],
        spec=method["spec"],
        is_baseline=method is baseline,
        is_best=is_best,
        accuracy=summarize(metrics["accuracy"]),
        difference=difference,
        macro_f1=_summary(method, metrics.get("macro_f1")),
        fusion_loss=_summary(method, metrics.get("fusion_loss")),
        seconds=method.get("seconds"),
        compile_seconds=method.get("compile_seconds"),
        split=split,
    )
