"""What every page that this package writes keeps to, in a real browser."""

import pytest

from tests.analysis.demo_report import write_demo_report
from tests.diagnosis.made_up_page import write_made_up_page

# A page's name, and what writes it into a folder and returns its path. One line adds a page.
PAGES = {
    "report": write_demo_report,
    "diagnosis": write_made_up_page,
}


@pytest.fixture(scope="module", params=PAGES)
def page(request, browser, tmp_path_factory):
    return PAGES[request.param](tmp_path_factory.mktemp(request.param))


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_complained_of(page, browser, width, dark):
    browser.show(page, width=width, dark=dark)
    browser.run("document.querySelectorAll('details').forEach((one) => { one.open = true; });")
    assert browser.messages() == []


def test_nothing_is_asked_of_the_network(page, browser):
    browser.show(page)
    assert browser.run("return performance.getEntriesByType('resource').map((x) => x.name);") == []


def test_a_telephone_scrolls_no_page(page, browser):
    """Wide tables scroll by themselves."""
    browser.show(page, width=360, height=740)
    width, scrolled, beyond = browser.run("""
        document.querySelectorAll("details").forEach((one) => { one.open = true; });
        const root = document.documentElement;
        const beyond = Array.from(document.body.querySelectorAll("*"))
          .filter((x) => x.getBoundingClientRect().right > innerWidth + 1
            && !x.closest(".scroll, svg, pre"))
          .map((x) => x.tagName + "." + x.className);
        return [innerWidth, root.scrollWidth, beyond];
    """)
    assert width == 360
    assert scrolled <= 360
    assert beyond == []


@pytest.mark.parametrize("dark", [False, True])
def test_it_follows_the_browser_into_the_dark(page, browser, dark):
    """Text stands out from the paper, and plots have the same two colours."""
    browser.show(page, dark=dark)
    ink, paper, plots = browser.run("""
        const rgb = (text) => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
        const body = getComputedStyle(document.body);
        const plots = Array.from(document.querySelectorAll("figure svg"), getComputedStyle);
        return [rgb(body.color), rgb(body.backgroundColor),
          plots.map((plot) => [rgb(plot.fill), rgb(plot.backgroundColor)])];
    """)
    brighter, darker = (ink, paper) if dark else (paper, ink)
    assert (_luminance(brighter) + 0.05) / (_luminance(darker) + 0.05) >= 7
    assert all(plot == [ink, paper] for plot in plots)


def _luminance(color):
    """The relative luminance of the Web Content Accessibility Guidelines, of red, green, blue."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in _shares(color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _shares(color):
    return [value / 255 for value in color]


def test_every_table_that_sorts_does(page, browser):
    """Each heading, by a click: upwards, downwards, and as it was; by the numbers of its cells."""
    browser.show(page)
    columns = browser.run("""
        const rows = (table) => Array.from(table.tBodies[0].rows);
        return Array.from(document.querySelectorAll("table.sortable")).flatMap((table) =>
          Array.from(table.tHead.rows[0].cells, (heading, column) => {
            const look = () => [heading.getAttribute("aria-sort"),
              rows(table).map((row) => row.innerText),
              rows(table).map((row) => row.cells[column].dataset.sort ?? null)];
            const click = () => { heading.querySelector("button").click(); return look(); };
            return [look(), click(), click(), click()];
          }));
    """)
    for before, up, down, again in columns:
        assert (up[0], down[0]) == ("ascending", "descending")
        assert again == before
        assert sorted(up[1]) == sorted(down[1]) == sorted(before[1])
        rising = [float(value) for value in up[2] if value is not None]
        falling = [float(value) for value in down[2] if value is not None]
        assert rising == sorted(rising) == falling[::-1]


@pytest.mark.parametrize("size", ["A4", "letter"])
def test_it_is_printed_on_at_most_eight_pages(page, browser, size):
    browser.show(page)
    assert 1 <= browser.printed_pages(size) <= 8
