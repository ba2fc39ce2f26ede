"""A page in a real browser, where one is installed."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next(filter(None, map(shutil.which, _NAMES)), None)

needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")


def _run(profile: Path, *arguments: str) -> bytes:
    assert BROWSER is not None
    options = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}")
    done = subprocess.run(
        [BROWSER, *options, *arguments], capture_output=True, check=True, timeout=240
    )
    return done.stdout


def probe(page: Path, script: str, *, width: int = 1280, dark: bool = False) -> str:
    """What a script that runs after those of the page returns, as text.

    Args:
      page: an HTML file.
      script: the body of a JavaScript function.
      width: of the window in pixels.
      dark: whether the browser prefers dark pages.
    """
    probed = page.with_name(f"probed-{page.name}")
    addition = "<pre id='probe'></pre><script>document.getElementById('probe').textContent = "
    addition += f"(() => {{ {script} }})();</script></body>"
    text = page.read_text(encoding="utf-8")
    probed.write_text(text.replace("</body>", addition), encoding="utf-8")
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    window = f"--window-size={width},900"
    profile = page.with_name("profile")
    html = _run(profile, window, scheme, "--dump-dom", probed.as_uri()).decode()
    found = re.search(r"<pre id=\"probe\">(.*?)</pre>", html, flags=re.DOTALL)
    assert found is not None, "the script did not run"
    return found[1]


def printed_pages(page: Path, size: str) -> int:
    """How many pages the printed page has, on paper of a size that CSS knows."""
    sized = page.with_name(f"{size}-{page.name}")
    text = page.read_text(encoding="utf-8").replace("@page {", f"@page {{ size: {size};")
    sized.write_text(text, encoding="utf-8")
    paper = page.with_name(f"{size}.pdf")
    _run(
        page.with_name("profile"),
        "--no-pdf-header-footer",
        f"--print-to-pdf={paper}",
        sized.as_uri(),
    )
    return len(re.findall(rb"/Type\s*/Page\b(?!s)", paper.read_bytes()))
