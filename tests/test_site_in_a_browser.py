"""The documentation's site: built without a warning, and whole in a browser without a network."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site's folder; skipped, or failed where a browser is required, without the extra."""
    if importlib.util.find_spec("mkdocs") is None:
        absent = pytest.fail if os.environ.get("MASAM_TEST_BROWSER") == "required" else pytest.skip
        absent("the extra docs is not installed: make docs")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site):
    """All but the page for addresses that are not there, which belongs to a server."""
    return sorted(set(site.rglob("*.html")) - {site / "404.html"})


def test_every_page_fits_a_telephone_and_asks_nothing_of_the_network(pages, browser):
    wrong = {}
    for page in pages:
        browser.show(page, width=360)
        width, fetched = browser.run("""
            return [document.documentElement.scrollWidth,
              performance.getEntriesByType("resource").map((x) => x.name)];
        """)
        away = [name for name in fetched if not name.startswith("file:")]
        messages = browser.messages()
        if width > 360 or away or messages:
            wrong[page.name] = (width, away, messages)
    assert len(pages) > 20
    assert not wrong


def test_formulas_are_drawn(site, browser):
    """Each is there, of more than one sign, and none shows the letters of its LaTeX."""
    browser.show(site / "api" / "zoo.html")
    formulas = browser.run("""
        return Array.from(document.querySelectorAll("math[display=block]"),
          (x) => [x.textContent, x.getBoundingClientRect().height]);
    """)
    assert len(formulas) > 10
    assert all(height > 15 and "\\" not in text and "$" not in text for text, height in formulas)
    words = browser.run("return document.querySelector('article').innerText;")
    assert "$$" not in words


def test_the_search_finds_a_page_without_a_server(site, browser):
    browser.show(site / "index.html")
    found = browser.run_async("""
        const done = arguments[0];
        const field = document.querySelector("input.md-search__input");
        field.focus();
        field.value = "drowned";
        field.dispatchEvent(new Event("keyup", {bubbles: true}));
        const look = () => {
          const results = document.querySelectorAll(".md-search-result__link");
          if (results.length) done(Array.from(results, (x) => x.getAttribute("href")));
          else setTimeout(look, 50);
        };
        look();
    """)
    assert any("quickstart.html" in link for link in found), found
