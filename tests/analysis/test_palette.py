"""Contrast of what is read and of what is drawn, on paper and on a dark screen (WCAG 2.2)."""

import re
from importlib import resources

import pytest

from masam_jax.analysis.palette import (
    BASELINE,
    COLOURS,
    HIGHLIGHT,
    INK,
    MUTED,
    PAPER,
    THEME,
    text_on,
)


def _channels(colour):
    return [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]


def _luminance(channels):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one, other):
    bright, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _shown(colour, dark):
    return _channels(THEME[colour].dark if dark and colour in THEME else colour)


@pytest.mark.parametrize("dark", [False, True])
def test_text_of_plots_can_be_read(dark):
    for text in (INK, MUTED):
        assert _contrast(_shown(text, dark), _shown(PAPER, dark)) >= 4.5
    for bar in COLOURS:
        assert _contrast(_shown(text_on(bar), dark), _shown(bar, dark)) >= 4.5


@pytest.mark.parametrize("dark", [False, True])
def test_the_baseline_and_the_methods_are_seen(dark):
    for line in (BASELINE, HIGHLIGHT):
        assert _contrast(_shown(line, dark), _shown(PAPER, dark)) >= 3


def _css(dark):
    text = (resources.files("masam_jax.analysis") / "templates" / "report.css").read_text()
    blocks = re.findall(r":root \{([^}]*)\}", text)
    return dict(re.findall(r"--(\w+): (#\w{6})", blocks[1 if dark else 0]))


@pytest.mark.parametrize("dark", [False, True])
def test_text_of_the_page_can_be_read(dark):
    css = {name: _channels(colour) for name, colour in _css(dark).items()}
    for text in ("ink", "muted"):
        for ground in ("paper", "soft"):
            assert _contrast(css[text], css[ground]) >= 4.5
    # A cell of the confusion matrix, at its strongest.
    cell = [0.45 * a + 0.55 * p for a, p in zip(css["accent"], css["paper"], strict=True)]
    assert _contrast(css["ink"], cell) >= 4.5


@pytest.mark.parametrize("dark", [False, True])
def test_plots_lie_on_the_page_s_paper(dark):
    assert _shown(PAPER, dark) == _channels(_css(dark)["paper"])


def test_colours_are_told_apart_by_value():
    shown = [*THEME, *(text_on(colour) for colour in COLOURS)]
    assert len({colour.lower() for colour in THEME}) == len(THEME)
    assert all(colour == colour.lower() for colour in shown)
    assert len({entry.name for entry in THEME.values()}) == len(THEME)
