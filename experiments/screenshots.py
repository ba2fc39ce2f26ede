"""Pictures of a report for the documentation, light and dark.

    python -m experiments.screenshots [REPORT]

writes ``report-light.png`` and ``report-dark.png`` into ``docs/assets/``, from
``runs/demo/report.html``, which ``make demo`` leaves, or from another report.
"""

import sys
from pathlib import Path

from experiments.browser import open_browser

_END_OF_THE_FIRST_TABLE = """
    const table = document.querySelector("table");
    return Math.ceil(table.getBoundingClientRect().bottom) + 20;
"""

ROOT = Path(__file__).parents[1]


def main(report: Path, folder: Path) -> list[Path]:
    """The files that were written.

    Raises:
      FileNotFoundError: there is no such report, or no browser.
    """
    if not report.is_file():
        raise FileNotFoundError(f"{report} is no file; make demo writes runs/demo/report.html")
    written = []
    with open_browser() as browser:
        for scheme in ("light", "dark"):
            browser.show(report, width=1200, dark=scheme == "dark")
            height = browser.run(_END_OF_THE_FIRST_TABLE)
            browser.show(report, width=1200, height=height, dark=scheme == "dark")
            written.append(folder / f"report-{scheme}.png")
            browser.screenshot(written[-1])
    return written


if __name__ == "__main__":
    try:
        pictures = main(
            Path(*sys.argv[1:]) if sys.argv[1:] else ROOT / "runs" / "demo" / "report.html",
            ROOT / "docs" / "assets",
        )
    except FileNotFoundError as error:
        sys.exit(f"experiments.screenshots: {error}")
    print(*pictures, sep="\n")
