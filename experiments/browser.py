"""Pages in a headless Chromium, driven by Selenium: for tests and for screenshots."""

import base64
import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selenium import webdriver

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_INCHES = {"A4": (8.27, 11.69), "letter": (8.5, 11.0)}


def find_browser() -> tuple[str, str] | None:
    """Paths of a Chromium and of its driver; None where one of them is not installed.

    The environment's ``MASAM_CHROMIUM`` and ``MASAM_CHROMEDRIVER`` come before what is on the path.
    """
    browser = os.environ.get("MASAM_CHROMIUM") or next(
        filter(None, map(shutil.which, _BROWSERS)), None
    )
    driver = os.environ.get("MASAM_CHROMEDRIVER") or shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


class Browser:
    """One window; made by `open_browser`."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self._driver = driver

    def show(self, page: Path, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Opens an HTML file.

        Args:
          page: the file.
          width: of the viewport in CSS pixels, of any size: the smallest window has 500.
          height: likewise.
          dark: whether the browser prefers dark pages.
        """
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._send("Emulation.setDeviceMetricsOverride", size)
        self._send("Emulation.setScrollbarsHidden", {"hidden": True})  # As on a telephone.
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._send("Emulation.setEmulatedMedia", {"features": [scheme]})
        self._driver.get_log("browser")  # Those of the page before are dropped.
        self._driver.get(page.resolve().as_uri())

    def run(self, script: str) -> Any:
        """What the body of a JavaScript function returns, as Python's own types."""
        return self._driver.execute_script(script)

    def run_async(self, script: str) -> Any:
        """What the script hands to the function that is its only argument, within 30 s."""
        return self._driver.execute_async_script(script)

    def messages(self) -> list[str]:
        """Warnings and errors on the console since the page was opened, uncaught ones included."""
        log = self._driver.get_log("browser")
        return [line["message"] for line in log if line["level"] in ("WARNING", "SEVERE")]

    def screenshot(self, path: Path) -> None:
        """Writes what is in the viewport as a PNG file."""
        self._driver.save_screenshot(str(path))

    def printed_pages(self, size: str) -> int:
        """How many pages the page has on paper, ``A4`` or ``letter``."""
        width, height = _INCHES[size]
        paper = self._send("Page.printToPDF", {"paperWidth": width, "paperHeight": height})
        return len(re.findall(rb"/Type\s*/Page\b(?!s)", base64.b64decode(paper["data"])))

    def _send(self, command: str, arguments: dict[str, Any]) -> Any:
        return self._driver.execute_cdp_cmd(command, arguments)


@contextlib.contextmanager
def open_browser() -> Iterator[Browser]:
    """A browser that is closed at the end.

    Raises:
      FileNotFoundError: no Chromium, or no driver of it, is installed.
    """
    found = find_browser()
    if found is None:
        raise FileNotFoundError(
            "neither Chromium with chromedriver is on the path, nor do MASAM_CHROMIUM and"
            " MASAM_CHROMEDRIVER name them: bash .ci/install_browser"
        )
    options = webdriver.ChromeOptions()
    options.binary_location = found[0]
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(found[1]))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
