"""What a reader of the report does: sort, read in the dark or on a small screen, print."""

import json

import pytest

from masam_jax.analysis.report import write_report
from tests.analysis.browser import needs_browser, printed_pages, probe
from tests.analysis.fake_directories import METHODS, write_comparison, write_counts

pytestmark = needs_browser

# As many methods, seeds and modalities as the demo has, with names as long.
_DEMO = (
    ("fusion_only", "fusion loss alone", 0.932, False),
    *METHODS[:2],
    ("masam", "MASAM ρ=0.3", 0.935, True),
    ("masam:rho=48", "MASAM ρ=48", 0.947, True),
    ("masam:rho=6,select=all", "MASAM ρ=6, select=all", 0.944, True),
    ("masam:rho=24,select=random", "MASAM ρ=24, select=random", 0.946, True),
    ("masam:rho=24,scale_by_alignment=false", "MASAM ρ=24, γ:=1", 0.942, True),
    (
        "masam:rho=0.1,select=all,scale_by_alignment=false,radius=relative,correct_other=true",
        "MASAM ρ=0.1, select=all, γ:=1, relative, head corrected",
        0.954,
        True,
    ),
)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    directory = tmp_path_factory.mktemp("browser") / "demo"
    modalities = ("fac", "fou", "kar", "mor", "pix", "zer")
    write_comparison(directory, seeds=16, methods=_DEMO, modalities=modalities, steps=600, every=20)
    write_counts(directory, 10)
    return write_report(directory)


_SORT = """
const table = document.querySelectorAll("table.sortable")[0];
const read = (column) => Array.from(table.tBodies[0].rows, (row) => row.cells[column].textContent);
const found = [read(0)];
for (const [column, clicks] of [[1, 1], [1, 1], [1, 1], [4, 1], [4, 1], [0, 1]]) {
  const heading = table.tHead.rows[0].cells[column];
  heading.querySelector("button").click();
  found.push([heading.getAttribute("aria-sort"), read(column), read(0)]);
}
return JSON.stringify(found);
"""


def test_a_click_sorts_a_table_up_down_and_back(page):
    before, up, down, back, p_up, p_down, names = json.loads(
        probe(page, _SORT).replace("&lt;", "<").replace("&amp;", "&")
    )
    numbers = [float(cell.partition(" ")[0]) for cell in up[1]]
    assert up[0] == "ascending"
    assert numbers == sorted(numbers)
    assert down[0] == "descending"
    assert [float(cell.partition(" ")[0]) for cell in down[1]] == sorted(numbers, reverse=True)
    assert (back[0], back[2]) == ("none", before)
    # The baseline has no p-value, and stays below whichever way.
    assert p_up[1][-1] == p_down[1][-1] == "—"
    assert p_up[1][:-1] != p_down[1][:-1]
    assert names[0] == "ascending"
    assert sorted(names[1], key=str.lower)[:2] == names[1][:2]


def test_headings_are_reached_with_the_keyboard(page):
    script = """
    const buttons = Array.from(document.querySelectorAll("thead button"));
    buttons[1].focus();
    return [buttons.length > 20, document.activeElement === buttons[1], buttons[1].type];
    """
    assert probe(page, script) == "true,true,button"


def test_a_small_screen_scrolls_no_page(page):
    script = """
    const wide = Array.from(document.querySelectorAll(".scroll"));
    document.querySelectorAll("details").forEach((one) => { one.open = true; });
    return [document.documentElement.scrollWidth <= window.innerWidth, window.innerWidth,
      wide.some((box) => box.scrollWidth > box.clientWidth)];
    """
    assert probe(page, script, width=500) == "true,500,true"


@pytest.mark.parametrize("dark", [False, True])
def test_plots_follow_the_page_into_the_dark(page, dark):
    script = """
    const ink = getComputedStyle(document.querySelector("figure svg")).fill;
    const paper = getComputedStyle(document.querySelector("figure svg")).backgroundColor;
    return [ink === getComputedStyle(document.body).color,
      paper === getComputedStyle(document.body).backgroundColor, paper];
    """
    paper = "rgb(20, 23, 27)" if dark else "rgb(255, 255, 255)"
    assert probe(page, script, dark=dark) == f"true,true,{paper}"


@pytest.mark.parametrize("size", ["A4", "letter"])
def test_it_is_printed_on_fewer_than_eight_pages(page, size):
    assert 2 <= printed_pages(page, size) < 8
