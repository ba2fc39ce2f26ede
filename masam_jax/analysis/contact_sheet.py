"""A page of samples as the network sees them: a row a sample, a column a modality."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from masam_jax.analysis.palette import GRID, INK, MUTED
from masam_jax.analysis.plots import write_plot
from masam_jax.analysis.sample_panels import Scale, describe, draw_panel, panel_aspect, printable
from masam_jax.analysis.style import Plot
from masam_jax.data.verification import ShownSample, Verification

_NOTE = "Samples as decoded, without augmentation and before normalisation"
# Inches.
_MARGIN, _GAP = 0.18, 0.16
_ROW, _LABELS = 1.25, 1.9
_TITLE, _HEADER = 0.42, 0.62
_WIDEST, _NARROWEST = 4.6, 1.25
_PANEL = 2.9
# Characters that fit in the column of labels.
_LABEL_COLUMNS, _KEY_COLUMNS = 24, 26
_LABEL_LINES = 3
# Inches from a line to the next, for each point of the font's size.
_LEADING = 1.3 / 72


def contact_sheet(
    title: str,
    found: Verification,
    class_names: Sequence[str],
    vocabulary: Sequence[str] = (),
) -> Plot:
    """Draws the examples of a verification.

    Args:
      title: of the data set.
      found: with at least one example.
      class_names: names of the classes, or of the labels.
      vocabulary: words of tokens, by number; empty where they are not known.

    Returns:
      The plot, of as many inches as its rows and columns need.

    Raises:
      ValueError: there is no example.
    """
    if not found.examples:
        raise ValueError(f"{title}: there is no sample to show.")
    names = sorted(found.statistics)
    widths = [_width(found, name) for name in names]
    total = 2 * _MARGIN + _LABELS + sum(widths) + _GAP * len(widths)
    height = 2 * _MARGIN + _TITLE + _HEADER + len(found.examples) * (_ROW + _GAP)
    page = _Page(total, height)
    base = page.text(_MARGIN, height - _MARGIN - 0.12, title, size=12, colour=INK, weight="bold")
    page.text(_MARGIN, base, _NOTE, size=8.5, colour=MUTED)
    top = height - _MARGIN - _TITLE
    scales = {name: Scale(found.statistics[name]) for name in names}
    left = _MARGIN + _LABELS
    for name, width in zip(names, widths, strict=True):
        base = page.text(left, top - 0.14, name, size=9.5, colour=INK, weight="bold")
        words = describe(found.statistics[name], scales[name])
        page.text(left, base, words, size=7.5, colour=MUTED)
        left += width + _GAP
    bottom = top - _HEADER
    previous = None
    for example in found.examples:
        starts = example.part != previous
        if starts:
            page.rule(bottom + _GAP / 2)
        bottom -= _ROW
        part = f"{example.part} ({len(found.parts[example.part]):,})"
        _label(page, bottom + _ROW, example, class_names, part if starts else None)
        previous = example.part
        left = _MARGIN + _LABELS
        for name, width in zip(names, widths, strict=True):
            ax = page.axes(left, bottom, width, _ROW)
            draw_panel(
                ax, example.sample.get(name), found.statistics[name], scales[name], vocabulary
            )
            left += width + _GAP
        bottom -= _GAP
    return Plot("contact_sheet", title, f"{_NOTE}.", page.figure)


def write_contact_sheet(
    path: Path,
    title: str,
    found: Verification,
    class_names: Sequence[str],
    vocabulary: Sequence[str] = (),
) -> Path:
    """Writes `contact_sheet` as a PNG file, and returns its path.

    Raises:
      ValueError: there is no example, or the path does not end in ``.png``.
    """
    check_sheet_path(path)
    plot = contact_sheet(title, found, class_names, vocabulary)
    return write_plot(Plot(path.stem, plot.title, plot.caption, plot.figure), path.parent)


def check_sheet_path(path: Path) -> None:
    """Raises ``ValueError`` for a path that does not end in ``.png``."""
    if path.suffix != ".png":
        raise ValueError(f"the contact sheet's path is {path}; it must end in .png.")


class _Page:
    """A figure that is laid out in inches from its lower left corner."""

    def __init__(self, width: float, height: float) -> None:
        self.figure = Figure(figsize=(width, height))
        self._size = np.array([width, height])

    def axes(self, left: float, bottom: float, width: float, height: float) -> Axes:
        wide, high = self._size
        return self.figure.add_axes((left / wide, bottom / high, width / wide, height / high))

    def text(
        self,
        left: float,
        base: float,
        text: str,
        *,
        size: float,
        colour: str,
        weight: str = "normal",
    ) -> float:
        """Writes lines, the first one's base line at ``base``; returns that of the next line."""
        for line in printable(text).split("\n"):
            place = (left / self._size[0], base / self._size[1])
            self.figure.text(
                *place, line, fontsize=size, color=colour, weight=weight, parse_math=False
            )
            base -= size * _LEADING
        return base

    def rule(self, bottom: float) -> None:
        wide, high = self._size
        ends = (_MARGIN / wide, 1 - _MARGIN / wide)
        line = Line2D(ends, (bottom / high, bottom / high), color=GRID, lw=0.8)
        self.figure.add_artist(line)


def _width(found: Verification, name: str) -> float:
    aspect = panel_aspect(found.statistics[name].spec)
    return _PANEL if aspect is None else float(np.clip(aspect * _ROW, _NARROWEST, _WIDEST))


def _label(
    page: _Page, top: float, example: ShownSample, class_names: Sequence[str], part: str | None
) -> None:
    """Class and name of a sample, left of it, below the name of the part that it begins."""
    base = top - 0.12
    if part is not None:
        base = page.text(_MARGIN, base, part, size=9.5, colour=INK, weight="bold") - 0.04
    words = _classes(example, class_names)
    lines = textwrap.wrap(words, _LABEL_COLUMNS, max_lines=_LABEL_LINES, placeholder=" …")
    base = page.text(_MARGIN, base, "\n".join(lines), size=9, colour=INK)
    page.text(_MARGIN, base, _shortened(example.key, _KEY_COLUMNS), size=7, colour=MUTED)


def _classes(example: ShownSample, class_names: Sequence[str]) -> str:
    if np.ndim(example.label) == 0:
        return class_names[int(example.label)].replace("_", " ")
    if np.issubdtype(np.asarray(example.label).dtype, np.floating):
        return ", ".join(f"{value:.6g}" for value in example.label.tolist())
    found = [class_names[place] for place in np.flatnonzero(example.label).tolist()]
    words = ", ".join(found).replace("_", " ") or "no label"
    return f"{len(found)} of {len(class_names)}: {words}" if len(found) > 1 else words


def _shortened(text: str, columns: int) -> str:
    """The text, with its middle left out where it is too long."""
    if len(text) <= columns:
        return text
    kept = columns - 1
    return f"{text[: kept // 2]}…{text[-(kept - kept // 2) :]}"
