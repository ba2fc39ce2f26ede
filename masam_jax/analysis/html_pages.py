"""Self-contained HTML pages: their templates, and plots within them."""

from typing import Any

import jinja2

from masam_jax.analysis.style import DPI, Plot
from masam_jax.analysis.themed_svg import themed_svg


def load_template(name: str, package: str = "masam_jax.analysis") -> jinja2.Template:
    """A template out of a package's ``templates/``; it may include those of the report.

    Args:
      name: the file's.
      package: where it is looked for first.
    """
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [jinja2.PackageLoader(each) for each in dict.fromkeys((package, "masam_jax.analysis"))]
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def drawing(plot: Plot, prefix: str) -> dict[str, Any]:
    """What a template shows of a plot.

    Args:
      plot: the plot.
      prefix: of its ids, a word that no other drawing of the page has.
    """
    return {
        "id": plot.name,
        "title": plot.title,
        "caption": plot.caption,
        "width": round(plot.figure.get_size_inches()[0] * DPI),
        "svg": themed_svg(plot.figure, prefix),
        "folded": plot.folded,
    }
