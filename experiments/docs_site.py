"""The hooks of ``mkdocs.yml``: pages from files beside ``docs/``, and formulas as MathML.

``README.md``, ``CONTRIBUTING.md`` and ``CHANGELOG.md`` are pages of the site as they stand; links
between them and ``docs/``, which lead somewhere in a checkout, lead to the pages. Links to other
files of the checkout lose their target on the site and stay as text. Browsers draw MathML
themselves, so that no script and no font is fetched for a formula.
"""

import html
import logging
import posixpath
import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files

# Below the logger whose warnings are errors of a strict build.
_LOG = logging.getLogger("mkdocs.plugins.docs_site")

ROOT = Path(__file__).parents[1]
# Files of the root that are pages of the site, by their place there.
ROOT_PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
# What is no prose: fenced blocks, lines of indented ones, and spans.
_CODE = re.compile(r"(^```.*?^```$|^ {4}[^\n]*$|`[^`\n]+`(?!\]))", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(!?)\[([^\]\n]+)\]\((?!https?://|#)([^)#\s]+)(#[^)\s]*)?\)")
# Of LaTeX, in the place of those that the converter does not know.
_OTHER_COMMANDS = {
    r"\arg\max": r"\mathrm{arg\,max}",
    r"\arg\min": r"\mathrm{arg\,min}",
    "{aligned}": "{align*}",
    r"\mathcal N": "𝒩",
}
_FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\[(\[](?P<latex>.*?)\\[)\]]</(?P=tag)>', re.DOTALL
)


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages of the root."""
    for source, place in ROOT_PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, place, content=site_links(text, source)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links of a page of ``docs/``, which may lead out of that folder."""
    if page.file.src_uri in ROOT_PAGES.values():
        return markdown
    return site_links(markdown, f"docs/{page.file.src_uri}")


def on_page_content(content: str, **_: Any) -> str:
    """Formulas, in the page's own text and in that of docstrings; no line ends before a ±."""
    return formulas_as_mathml(content).replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}")


def site_links(markdown: str, source: str) -> str:
    """The text with its relative links as they have to be on the site.

    Args:
      markdown: what the file holds.
      source: the file's path below the root.
    """
    folder = posixpath.dirname(source)

    def replaced(match: re.Match[str]) -> str:
        image, words, target, anchor = match.groups()
        path = posixpath.normpath(posixpath.join(folder, target))
        if path in ROOT_PAGES:
            path = f"docs/{ROOT_PAGES[path]}"
        if not path.startswith("docs/"):
            return words if not image else match[0]
        here = folder if folder.startswith("docs") else "docs"
        return f"{image}[{words}]({posixpath.relpath(path, here)}{anchor or ''})"

    # Every second piece is code, and stays as it is.
    pieces = _CODE.split(markdown)
    return "".join(
        piece if place % 2 else _LINK.sub(replaced, piece) for place, piece in enumerate(pieces)
    )


def formulas_as_mathml(text: str) -> str:
    """The HTML with what the extension ``arithmatex`` has marked as MathML."""

    def converted(match: re.Match[str]) -> str:
        display = "block" if match["tag"] == "div" else "inline"
        latex = html.unescape(match["latex"]).strip()
        for command, known in _OTHER_COMMANDS.items():
            latex = latex.replace(command, known)
        mathml = convert(latex, display=display)
        # What the converter does not know it passes on as text.
        if re.search(r">[^<]*(\\|&(?!#))", mathml):
            _LOG.warning("a command of the formula is unknown: %s", latex)
        return mathml

    return _FORMULA.sub(converted, text)
