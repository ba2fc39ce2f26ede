"""What a reader of a report does beyond what every page is tested for: sorting by the numbers."""

import pytest

from tests.analysis.demo_report import write_demo_report

_SORT = """
const table = document.querySelectorAll("table.sortable")[0];
const read = (column) => Array.from(table.tBodies[0].rows, (row) => row.cells[column].textContent);
const found = [read(0)];
for (const [column, clicks] of [[1, 1], [1, 1], [1, 1], [4, 1], [4, 1], [0, 1]]) {
  const heading = table.tHead.rows[0].cells[column];
  heading.querySelector("button").click();
  found.push([heading.getAttribute("aria-sort"), read(column), read(0)]);
}
return found;
"""


@pytest.fixture(scope="module")
def report(browser, tmp_path_factory):
    return write_demo_report(tmp_path_factory.mktemp("report"))


def test_a_click_sorts_a_table_up_down_and_back(report, browser):
    browser.show(report)
    before, up, down, back, p_up, p_down, names = browser.run(_SORT)
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


def test_headings_are_reached_with_the_keyboard(report, browser):
    browser.show(report)
    found = browser.run("""
        const buttons = Array.from(document.querySelectorAll("thead button"));
        buttons[1].focus();
        return [buttons.length > 20, document.activeElement === buttons[1], buttons[1].type];
    """)
    assert found == [True, True, "button"]


def test_wide_tables_scroll_by_themselves(report, browser):
    browser.show(report, width=360)
    assert browser.run("""
        document.querySelectorAll("details").forEach((one) => { one.open = true; });
        return Array.from(document.querySelectorAll(".scroll"))
          .some((box) => box.scrollWidth > box.clientWidth);
    """)
