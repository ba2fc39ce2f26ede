"""One self-contained HTML page about a comparison or a single run."""

import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from masam_jax.analysis.class_scores import ClassCounts, read_class_counts
from masam_jax.analysis.class_tables import matrix, pair_cells, score_cells
from masam_jax.analysis.conclusion import headline
from masam_jax.analysis.formatting import mean_percent, number
from masam_jax.analysis.html_pages import drawing, load_template
from masam_jax.analysis.method_words import method_summary, option_words
from masam_jax.analysis.paired_evidence import EQUIVALENCE_MARGIN
from masam_jax.analysis.plots import make_plots, write_plot
from masam_jax.analysis.primary_metric import probe_metric
from masam_jax.analysis.records import Directory, MethodRecord, read_directory
from masam_jax.analysis.rows import Row, Rows, is_emphasized, shown_cells
from masam_jax.analysis.sort_keys import sort_key
from masam_jax.analysis.style import Plot
from masam_jax.analysis.table_files import tables_by_modality
from masam_jax.analysis.tables import comparison_table, cost_reference
from masam_jax.analysis.themed_svg import theme_css
from masam_jax.training.metric_names import phrase, title
from masam_jax.training.storage.atomic_files import write_text


def write_report(directory: str | Path) -> Path:
    """Writes ``report.html``, with everything in it, and the PNG files it shows into ``plots/``.

    The page asks nothing of the network: tables, style, script and drawings are inside it. The
    drawings are the same as in the files, in the colours of the page.

    Args:
      directory: a directory with ``results.json`` (a comparison) or ``result.json`` (a run).

    Returns:
      The page's path.

    Raises:
      ValueError: if the directory's records are missing or damaged.
    """
    record = read_directory(directory)
    plots = make_plots(record)
    for plot in plots:
        write_plot(plot, record.path / "plots")
    page = load_template("report.html.j2").render(_page(record, plots))
    path = record.path / "report.html"
    write_text(path, page)
    return path


def flatten(content: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as ``{"optimizer.learning_rate": "0.005"}``, for a two-column table.

    Args:
      content: what a JSON file held.
      prefix: put before every name.

    Returns:
      Dotted names and printed values; lists of plain values on one line.
    """
    flat: dict[str, str] = {}
    for key, value in content.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{name}.")
        elif isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
            flat |= flatten({str(i): item for i, item in enumerate(value)}, f"{name}.")
        else:
            flat[name] = _printed(value)
    return flat


def _printed(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(_printed, value)) or "none"
    return "none" if value == {} else str(value)


def _page(record: Directory, plots: list[Plot]) -> dict[str, Any]:
    """What the template shows."""
    rows = comparison_table(record.results)
    dataset = record.results.get("dataset")
    environment = dict(record.environment or {})
    compares = len(rows) > 1
    return {
        "heading": _heading(record, dataset),
        "headline": headline(rows, dataset),
        "facts": _facts(record, dataset),
        "split": record.split,
        "compares": compares,
        "baseline": record.baseline.title,
        "seeds": record.results.get("seeds") or record.baseline.result["seeds"],
        "cost_reference": cost_reference(record.results)["title"],
        "main": _table(rows, [row.cells() for row in rows]),
        "evidence": _evidence(rows),
        "margin": number(100 * EQUIVALENCE_MARGIN, 0),
        "further": _table(rows, [row.further_cells() for row in rows]),
        "metric": phrase(record.metric),
        "metric_title": title(record.metric),
        "probe_metric": phrase(probe_metric(record.metric)),
        "by_modality": {
            f"{title(table[0].metric)} of {subject}": _table(table, [row.cells() for row in table])
            for subject, table in tables_by_modality(record).items()
            if table
        },
        "diverged": [row.title for row in rows if row.score.mean is None],
        "light": theme_css(dark=False),
        "dark": theme_css(dark=True),
        "plots": [drawing(plot, f"p{i}") for i, plot in enumerate(plots)],
        "labels": [
            (m.title, m.result["spec"], method_summary(m.result["spec"])) for m in record.methods
        ],
        "options": option_words(m.result["spec"] for m in record.methods),
        "classes": [_classes(*counted) for counted in read_class_counts(record)],
        "command": _command(environment),
        "config": flatten(record.config or {}),
        "methods": [_settings(method) for method in record.methods] if compares else [],
        "environment": flatten(
            {k: v for k, v in environment.items() if k not in ("command", "resumed")}
        ),
        "resumed": flatten({"resumed": environment.get("resumed") or []}),
        "splits": _splits(record),
        "per_seed": _per_seed(record),
    }


def _heading(record: Directory, dataset: str | None) -> str:
    subject = "Comparison" if record.is_comparison else record.baseline.title
    return f"{subject} on {dataset}" if dataset else subject


def _facts(record: Directory, dataset: str | None) -> list[tuple[str, str]]:
    """The line under the headline: what was run."""
    steps = sorted({m.result["steps"] for m in record.methods if "steps" in m.result})
    modalities = record.results.get("modalities") or ()
    facts = [
        ("Data set", dataset or ""),
        ("Modalities", ", ".join(modalities)),
        ("Methods", str(len(record.methods)) if len(record.methods) > 1 else ""),
        ("Seeds", str(len(record.baseline.result["seeds"]))),
        ("Steps", " to ".join(str(step) for step in dict.fromkeys(steps[:1] + steps[-1:]))),
    ]
    return [(name, value) for name, value in facts if value]


def _table(rows: Rows, lines: Sequence[dict[str, str]]) -> dict[str, Any] | None:
    """A table's headings and lines; ``None`` for no rows."""
    if not rows:
        return None
    shown = shown_cells(lines)
    return {
        "headings": [_unbroken(heading) for heading in shown[0]],
        "rows": [
            {
                "cells": _cells(line.values()),
                "is_best": is_emphasized(row, rows),
                "is_baseline": row.is_baseline,
            }
            for row, line in zip(rows, shown, strict=True)
        ],
    }


def _evidence(rows: Sequence[Row]) -> dict[str, Any] | None:
    """How sure the differences are; ``None`` where there are none over several seeds."""
    lines = [row.evidence_cells() for row in rows if not row.is_baseline]
    return _plain_table(lines) if len(rows) > 1 and rows[0].score.count > 1 else None


def _unbroken(heading: str) -> str:
    """Keeps a unit with its quantity, and a test's name in one piece, where headings wrap."""
    for pair in (", %", "paired t", "p (", "FLOPs ×"):
        heading = heading.replace(pair, pair.replace(" ", "\u00a0"))
    return heading


def _plain_table(lines: Sequence[dict[str, str]]) -> dict[str, Any] | None:
    """A table of which no line stands out; ``None`` for no lines."""
    if not lines:
        return None
    headings = [_unbroken(heading) for heading in lines[0]]
    return {"headings": headings, "rows": [_row(list(line.values())) for line in lines]}


def _row(line: Iterable[str]) -> dict[str, Any]:
    return {"cells": _cells(line), "is_best": False, "is_baseline": False}


def _cells(texts: Iterable[str]) -> list[tuple[str, float | None]]:
    """What a reader sees, and the number to sort by."""
    return [(text, sort_key(text)) for text in texts]


def _classes(title: str, spec: str, counts: ClassCounts) -> dict[str, Any]:
    """One method's part of the section on classes."""
    lines, left_out = score_cells(counts)
    with_f1 = [score for score in counts.scores() if score.f1.mean is not None]
    worst = min(with_f1, key=lambda score: score.f1.mean or 0.0, default=None)
    return {
        "title": title,
        "spec": spec,
        "multi_label": counts.multi_label,
        "scores": _plain_table(lines),
        "left_out": left_out,
        "worst": worst and (worst.name, mean_percent(worst.f1)),
        "matrix": matrix(counts),
        "pairs": _plain_table(pair_cells(counts)) if left_out else None,
        "samples": int(counts.pooled[0].sum() if counts.multi_label else counts.pooled.sum()),
    }


def _command(environment: Mapping[str, Any]) -> str | None:
    command = environment.get("command")
    if not command:
        return None
    return command if isinstance(command, str) else shlex.join(map(str, command))


def _settings(method: MethodRecord) -> dict[str, Any]:
    return {
        "title": method.title,
        "spec": method.result["spec"],
        "settings": flatten(method.config or {}),
    }


def _splits(record: Directory) -> dict[str, Any]:
    """The rule of the splits in words, and the digest of each seed's."""
    splits = record.splits or {}
    digests = splits.get("seeds")
    return {
        "rules": flatten({k: v for k, v in splits.items() if k != "seeds"}),
        "digests": flatten(digests) if isinstance(digests, Mapping) else {},
    }


def _per_seed(record: Directory) -> dict[str, Any]:
    """Score in percent of every method on every seed; whichever are more go down the page."""
    seeds = [str(seed) for seed in record.baseline.result["seeds"]]
    titles = [method.title for method in record.methods]
    columns = [
        [number(_percent(value)) for value in record.scores(method)] for method in record.methods
    ]
    if len(titles) > len(seeds):
        headings = ["Method", *(f"seed {seed}" for seed in seeds)]
        lines = [[title, *column] for title, column in zip(titles, columns, strict=True)]
    else:
        headings = ["Seed", *titles]
        lines = [list(line) for line in zip(seeds, *columns, strict=True)]
    return {
        "headings": headings,
        "rows": [_row(line) for line in lines],
    }


def _percent(fraction: float | None) -> float | None:
    return None if fraction is None or not math.isfinite(fraction) else fraction * 100
