"""Pictures of the tops of pages for the documentation, light and dark.

    python -m experiments.screenshots [NAME=PAGE ...]

writes ``NAME-light.png`` and ``NAME-dark.png`` into ``docs/assets/``; without words, of the report
that ``make demo`` leaves.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from experiments.browser import open_browser

_WIDTH = 1200
_END_OF_THE_FIRST_TABLE = """
    const table = document.querySelector("table");
    return Math.ceil(table.getBoundingClientRect().bottom) + 20;
"""

ROOT = Path(__file__).parents[1]
PAGES = {"report": ROOT / "runs" / "demo" / "report.html"}


def main(pages: Mapping[str, Path], folder: Path) -> list[Path]:
    """Takes the pictures.

    Args:
      pages: what a picture is called -> an HTML file with a table.
      folder: where the pictures are written.

    Returns:
      Their paths.

    Raises:
      FileNotFoundError: there is no such page, or no browser.
    """
    for page in pages.values():
        if not page.is_file():
            raise FileNotFoundError(f"{page} is no file; make demo writes runs/demo/report.html")
    written = []
    with open_browser() as browser:
        for name, page in pages.items():
            for scheme in ("light", "dark"):
                browser.show(page, width=_WIDTH, dark=scheme == "dark")
                height = browser.run(_END_OF_THE_FIRST_TABLE)
                browser.show(page, width=_WIDTH, height=height, dark=scheme == "dark")
                written.append(folder / f"{name}-{scheme}.png")
                browser.screenshot(written[-1])
    return written


if __name__ == "__main__":
    named = {name: Path(page) for name, _, page in (word.partition("=") for word in sys.argv[1:])}
    try:
        print(*main(named or PAGES, ROOT / "docs" / "assets"), sep="\n")
    except FileNotFoundError as error:
        sys.exit(f"experiments.screenshots: {error}")
