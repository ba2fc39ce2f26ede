"""What ``masam measure`` found, as tables and pictures on one page."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from masam_jax.analysis.result_page import ResultPage
from masam_jax.analysis.result_table import Cell, ResultTable, text_cell
from masam_jax.analysis.style import plot_name
from masam_jax.analysis.surface_plots import surface_plots
from masam_jax.geometry.surface import LossSurface

# Heading, the number of a seed's entry, and what it is.
_QUANTITIES: dict[str, tuple[str, Callable[[Mapping[str, Any]], float], str]] = {
    "trace": ("Hessian trace", lambda entry: entry["mean"], "of the part's own block"),
    "relative_flatness": (
        "Relative flatness",
        lambda entry: entry["mean"],
        "the trace times the squared norm; the lower, the flatter",
    ),
    "sharpness": (
        "Sharpness",
        lambda entry: entry["increase"],
        "the largest increase of the loss found within 5 % of the part's norm",
    ),
    "spectrum": (
        "Largest eigenvalue",
        lambda entry: entry["eigenvalues"][0],
        "of the part's own block of the Hessian",
    ),
}


def measures_page(
    content: Mapping[str, Any],
    surfaces: Mapping[str, Mapping[str, LossSurface]],
    command: str = "",
) -> ResultPage:
    """One table a quantity, methods in rows and parts in columns; then the surfaces.

    Args:
      content: of ``measures.json``.
      surfaces: method's slug -> what a panel is called -> its surface.
      command: that made it.
    """
    methods = content["methods"]
    names = [n for n in _QUANTITIES if any(n in method["measures"] for method in methods)]
    tables = [_table(content, name) for name in names]
    if names:
        tables.insert(0, _losses_and_norms(content, names[0]))
    titles = {method["slug"]: method["title"] for method in methods}
    plots = [
        plot
        for slug, parts in surfaces.items()
        for plot in surface_plots(parts, plot_name("surface", slug), _first(content, titles[slug]))
    ]
    facts = (
        ("Run", content["run"]),
        ("Loss", content["loss"]),
        ("Samples", f"{content['samples']} of {content['split']}"),
        ("Seeds", str(len(content["seeds"]))),
    )
    return ResultPage(
        heading=f"Geometry of the {content['loss']} loss: {content['run']}",
        remarks=("Flatness means little without the loss and the norm, which come first.",),
        facts=facts,
        tables=tuple(tables),
        plots=tuple(plots),
        command=command,
        kicker="geometry",
    )


def _first(content: Mapping[str, Any], title: str) -> str:
    return f"{title}, seed {content['seeds'][0]}"


def _table(content: Mapping[str, Any], name: str) -> ResultTable:
    heading, number, words = _QUANTITIES[name]
    parts = _parts(content, name)
    rows = tuple(
        (text_cell(title), *(_cell(entries.get(part, ()), number) for part in parts))
        for title, entries in _entries(content, name)
    )
    caption = f"{words[0].upper()}{words[1:]}. {_over_seeds(content)}"
    return ResultTable(plot_name(name), heading, ("Method", *parts), rows, caption)


def _losses_and_norms(content: Mapping[str, Any], name: str) -> ResultTable:
    parts = _parts(content, name)
    rows = tuple(
        (
            text_cell(title),
            _cell(next(iter(entries.values()), ()), lambda entry: entry["loss"]),
            *(_cell(entries.get(part, ()), lambda entry: entry["norm"]) for part in parts),
        )
        for title, entries in _entries(content, name)
    )
    headings = ("Method", "loss", *(f"norm of {part}" for part in parts))
    caption = f"The loss measured, and norms of the parameters. {_over_seeds(content)}"
    return ResultTable("losses-and-norms", "Loss and norms", headings, rows, caption)


def _entries(
    content: Mapping[str, Any], name: str
) -> list[tuple[str, Mapping[str, Sequence[Mapping[str, Any] | None]]]]:
    return [(m["title"], m["measures"].get(name, {})) for m in content["methods"]]


def _parts(content: Mapping[str, Any], name: str) -> tuple[str, ...]:
    found = dict.fromkeys(part for _, entries in _entries(content, name) for part in entries)
    return tuple(found)


def _cell(
    entries: Sequence[Mapping[str, Any] | None], number: Callable[[Mapping[str, Any]], float]
) -> Cell:
    values = [number(entry) for entry in entries if entry is not None]
    finite = [value for value in values if value is not None and math.isfinite(value)]
    if not finite:
        return Cell("—", {"mean": None, "std": None})
    mean = float(np.mean(finite))
    std = float(np.std(finite, ddof=1)) if len(finite) > 1 else None
    spread = "" if std is None else f" ± {std:.2g}"
    return Cell(f"{mean:.3g}{spread}", {"mean": mean, "std": std})


def _over_seeds(content: Mapping[str, Any]) -> str:
    count = len(content["seeds"])
    if count == 1:
        return "One seed."
    return f"Mean ± standard deviation over {count} seeds, without those that diverged."
