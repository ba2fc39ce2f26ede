"""The colours of the plots, on white paper and on a dark screen."""

from typing import NamedTuple

# Each is a value of its own: a picture that is drawn in these is turned dark by their names.
INK, MUTED, GRID, PAPER = "#1b1f24", "#5f6671", "#e3e6ea", "#ffffff"
HIGHLIGHT, BASELINE = "#0072b2", "#747a83"
ON_BRIGHT, ON_BLUE = "#000001", "#fffffe"
"""Text on a bar: of any of `COLOURS` but the first, and of that."""

# Okabe and Ito's colours, which stay apart under the common forms of colour blindness; their
# yellow is left out, since it vanishes on white.
COLOURS = (HIGHLIGHT, "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")


class Themed(NamedTuple):
    """One colour: its name as a CSS variable, and what it is on a dark screen."""

    name: str
    dark: str


THEME = {
    INK: Themed("plot-ink", "#e7eaee"),
    MUTED: Themed("plot-muted", "#a2abb6"),
    GRID: Themed("plot-grid", "#333a43"),
    PAPER: Themed("plot-paper", "#14171b"),
    BASELINE: Themed("plot-baseline", "#9aa3ae"),
    ON_BLUE: Themed("plot-on-blue", "#000000"),
    COLOURS[0]: Themed("plot-1", "#3d9be0"),
    COLOURS[1]: Themed("plot-2", "#f07f35"),
    COLOURS[2]: Themed("plot-3", "#21b98f"),
    COLOURS[3]: Themed("plot-4", "#d98cb8"),
    COLOURS[4]: Themed("plot-5", "#e9b23c"),
    COLOURS[5]: Themed("plot-6", "#9fd6f7"),
}
"""Light colour -> its name, and its dark counterpart."""


def text_on(colour: str) -> str:
    """A colour of text that can be read on a bar, on a dark screen too."""
    return ON_BLUE if colour == COLOURS[0] else ON_BRIGHT
