"""The page of a diagnosis: the verdict, and plots that answer its questions in their order."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from masam_jax.analysis.formatting import DASH, number
from masam_jax.analysis.html_pages import drawing, load_template
from masam_jax.analysis.modality_plots import modality_plots
from masam_jax.analysis.records import Directory
from masam_jax.analysis.sort_keys import sort_key
from masam_jax.analysis.style import Plot
from masam_jax.analysis.themed_svg import theme_css
from masam_jax.diagnosis.conclusions import DROWNED_MARGIN, Diagnosis, Interval
from masam_jax.diagnosis.course import course_plots
from masam_jax.diagnosis.observations import WATCHED, Observations
from masam_jax.diagnosis.plots import drowned_plot, fusion_plot, overfitting_plot, shares_plot
from masam_jax.training.storage.atomic_files import write_text

PAGE_FILE = "diagnosis.html"


def write_page(found: Diagnosis, observed: Observations, record: Directory) -> Path:
    """Writes ``diagnosis.html``, with everything in it, and returns its path.

    Args:
      found: the diagnosis.
      observed: what it was concluded from.
      record: the comparison; its directory is where the page goes.
    """
    page = load_template("diagnosis.html.j2", "masam_jax.diagnosis").render(
        {
            "found": found,
            "sections": _sections(found, observed, record),
            "table": _table(found),
            "facts": _facts(found, record),
            "margin": number(100 * DROWNED_MARGIN, 0),
            "light": theme_css(dark=False),
            "dark": theme_css(dark=True),
        }
    )
    path = record.path / PAGE_FILE
    write_text(path, page)
    return path


def _sections(found: Diagnosis, observed: Observations, record: Directory) -> list[dict[str, Any]]:
    """Questions, with the drawings that answer them; without a seed there is none."""
    if not found.seeds:
        return []
    plots = {
        "Is fusion worth it?": [fusion_plot(found, observed)],
        "Who is drowned?": [drowned_plot(found)],
        "Who drowns?": [shares_plot(found), *_watched(record)],
        "Where does it come from?": course_plots(record),
        "Who overfits?": [overfitting_plot(found)],
    }
    return [
        {
            "id": f"question-{place}",
            "question": question,
            "plots": [drawing(each, f"q{place}p{i}") for i, each in enumerate(drawn)],
        }
        for place, (question, drawn) in enumerate(plots.items())
    ]


def _watched(record: Directory) -> list[Plot]:
    """γ, learning speed and dominance over training, of late fusion with unimodal losses."""
    watched = [m for m in record.methods if m.result["spec"] == WATCHED]
    traces = [
        plot
        for plot in modality_plots(dataclasses.replace(record, methods=watched))
        if plot.name.startswith("modalities-")
    ]
    title = "Alignment, learning speed and dominance over training"
    return [
        dataclasses.replace(
            plot,
            name="watched",
            title=title,
            folded=False,
            caption="Trained with unimodal losses, and with ρ = 0, so that nothing is perturbed. "
            + plot.caption.partition(", each modality over training. ")[2],
        )
        for plot in traces
    ]


def _table(found: Diagnosis) -> dict[str, Any]:
    headings = [
        "Modality",
        "Head alone, %",
        "Probe alone, %",
        "Probe joint, %",
        "Difference",
        "95 % interval",
        "Probe with unimodal losses, %",
        "γ",
    ]
    rows = []
    for m, each in found.modalities.items():
        cells = [
            m,
            _percent(each.head_alone),
            _percent(each.alone),
            _percent(each.joint_probe),
            number(100 * each.difference, 1, signed=True),
            _interval(each.interval),
            _percent(each.supervised_probe),
            DASH if each.alignment is None else number(each.alignment, 2, signed=True),
        ]
        rows.append(
            {
                "cells": [(cell, sort_key(cell)) for cell in cells],
                "is_best": each.is_drowned,
                "is_baseline": not each.is_informative,
            }
        )
    return {"headings": headings, "rows": rows}


def _facts(found: Diagnosis, record: Directory) -> list[tuple[str, str]]:
    steps = record.baseline.result.get("steps")
    facts = [
        ("Data set", found.dataset),
        ("Modalities", str(len(found.modalities))),
        ("Seeds", str(len(found.seeds))),
        ("Diverged seeds", str(len(found.diverged)) if found.diverged else ""),
        ("Steps", "" if steps is None else str(steps)),
        ("Guessing", f"{_percent(found.chance)} %"),
    ]
    return [(name, value) for name, value in facts if value]


def _percent(fraction: float) -> str:
    return number(100 * fraction, 1)


def _interval(interval: Interval) -> str:
    if interval is None:
        return DASH
    return " to ".join(number(100 * end, 1, signed=True) for end in interval)
