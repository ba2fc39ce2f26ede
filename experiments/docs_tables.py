"""Puts what experiments found into the pages of ``docs/``: findings, tables and pictures.

    make experiments
    python -m experiments.docs_tables

The pages have blocks, each between ``<!-- found by NAME -->`` and ``<!-- end -->``; what is there
is replaced by what the experiment wrote, and its pictures are copied beside the pages. An
experiment that was not run leaves its block as it is.
"""

import argparse
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from masam_jax.analysis.result_page import RESULT_TABLES
from masam_jax.training.storage.atomic_files import write_text

_DOCS = Path(__file__).resolve().parent.parent / "docs"
_BLOCK = re.compile(r"(<!-- found by (\w+)(?:: ([^>]*?))? -->\n).*?(<!-- end -->)", re.DOTALL)
_PICTURE = re.compile(r"!\[([^\]]*)\]\(plots/([^)]+)\)")
_PICTURES = "experiments"
_PAGES = ("experiments.md", "evidence.md", "study_tables.md")


def fill(page: str, output: Path, docs: Path) -> str:
    """The page with its blocks filled.

    A block may name the titles of the tables and pictures that it shows, with semicolons between
    them; all of them when it names none.

    Args:
      page: Markdown.
      output: directory of all experiments.
      docs: where pictures are copied to, into a folder of their own.

    Raises:
      ValueError: a block names a title that the experiment does not have.
    """

    def filled(match: re.Match[str]) -> str:
        begin, name, titles, end = match.groups()
        found = output / name / RESULT_TABLES
        if not found.is_file():
            return match[0]
        wanted = [title.strip() for title in titles.split(";")] if titles else None
        parts = _parts(found.read_text(encoding="utf-8"), wanted, name)
        shown = _PICTURE.sub(lambda m: _copied(m, output / name, docs, name), "\n\n".join(parts))
        return f"{begin}\n{shown}\n\n{end}"

    return _BLOCK.sub(filled, page)


def _parts(text: str, wanted: Sequence[str] | None, name: str) -> list[str]:
    """Findings, tables under a line in bold, and pictures."""
    text, *pictures = re.split(r"\n\n(?=!\[)", text.strip())
    head, *tables = re.split(r"\n## ", text)
    shown = {}
    for table in tables:
        title, _, rest = table.partition("\n")
        shown[title] = f"**{title}**\n\n{rest.strip()}"
    shown |= {re.match(r"!\[([^\]]*)", p)[1]: p for p in pictures}  # type: ignore[index]
    chosen = list(shown) if wanted is None else wanted
    absent = [title for title in chosen if title not in shown]
    if absent:
        raise ValueError(f"{name} has no table or picture {absent[0]!r}; it has {list(shown)}")
    # Without the heading, which is the question, and the note, which names a folder of the machine.
    findings = [part for part in head.split("\n\n")[1:] if not part.startswith("> ")]
    return [*(f"> {each.strip()}" for each in findings), *(shown[title] for title in chosen)]


def _copied(match: re.Match[str], place: Path, docs: Path, name: str) -> str:
    """A picture as the page shows it, once it is copied."""
    prefix = name.replace("_", "-")
    own = match[2] if match[2].startswith(prefix) else f"{prefix}-{match[2]}"
    target = docs / _PICTURES / own
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(place / "plots" / match[2], target)
    return f"![{match[1]}]({_PICTURES}/{target.name})"


def main(arguments: Sequence[str] | None = None) -> None:
    """Rewrites the pages."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("runs/experiments"))
    asked = parser.parse_args(arguments)
    for path in (_DOCS / page for page in _PAGES):
        write_text(path, fill(path.read_text(encoding="utf-8"), asked.output, _DOCS))


if __name__ == "__main__":
    main()
