"""A plot as SVG within a page, in the colours of the page: of paper, or of a dark screen."""

import io
import re

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.figure import Figure

from masam_jax.analysis.palette import INK, THEME

_COLOUR = re.compile("|".join(THEME), flags=re.IGNORECASE)
# What is written for readers of the file alone; a style there would be one of the whole page.
_APART = re.compile(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", flags=re.DOTALL)
_OPENING = re.compile(r"<svg [^>]*?(viewBox=\"[^\"]*\")[^>]*>")


def themed_svg(figure: Figure, prefix: str) -> Markup:
    """The drawing as an ``<svg>`` element.

    Names in it are drawn as shapes, so that none of them is markup and no font is asked for.

    Args:
      figure: the drawing, in the colours of `palette`.
      prefix: of the element's ids, a word that no other drawing of the page has.
    """
    stream = io.StringIO()
    # Without a salt, ids differ from one time to the next.
    with rc_context({"svg.fonttype": "path", "svg.hashsalt": prefix}):
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    text = stream.getvalue()
    text = _APART.sub("", text[text.index("<svg ") :])
    text = _OPENING.sub(_root, text, count=1)
    text = _COLOUR.sub(lambda match: f"var(--{THEME[match[0].lower()].name})", text)
    text = re.sub(r"(\bid=\"|href=\"#|url\(#)", rf"\g<1>{prefix}-", text)
    return Markup(re.sub(r"\n\s*", "\n", text).strip())


def theme_css(*, dark: bool) -> str:
    """The colours as CSS custom properties, for ``:root``."""
    pairs = [(entry.name, entry.dark if dark else light) for light, entry in THEME.items()]
    return " ".join(f"--{name}: {colour};" for name, colour in pairs)


def _root(match: re.Match[str]) -> str:
    # Matplotlib leaves black text without a colour.
    return (
        f'<svg {match[1]} style="fill: {INK}" stroke-linejoin="round" stroke-linecap="butt"'
        ' aria-hidden="true">'
    )
