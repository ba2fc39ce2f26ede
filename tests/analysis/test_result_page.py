"""Tables and plots of several runs, as files and in one page."""

from matplotlib.figure import Figure

from masam_jax.analysis.result_page import ResultPage, save_result_page
from masam_jax.analysis.result_table import ResultTable, number_cell, text_cell
from masam_jax.analysis.style import Plot


def _plot(name):
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([0, 1], [0, 1])
    return Plot(name, "A <line>", "Up & away.", figure)


def _page():
    rows = ((text_cell("a < b"), number_cell(1.25)),)
    table = ResultTable("scores", "Scores", ("Method", "Value"), rows, "In points.")
    return ResultPage(
        "What <is> it?", ("It is.",), "On what ships.", (("Seeds", "3"),), (table,),
        (_plot("line"),),
        "masam report a b",
    )  # fmt: skip


def test_every_table_and_plot_is_a_file_too(tmp_path):
    written = save_result_page(_page(), tmp_path / "new" / "place")
    assert written == tmp_path / "new" / "place" / "report.html"
    names = {str(p.relative_to(written.parent)) for p in written.parent.rglob("*") if p.is_file()}
    tables = {"scores.csv", "scores.tex", "tables.md", "report.html"}
    assert names == tables | {"plots/line.png", "plots/line.svg"}
    markdown = (written.parent / "tables.md").read_text(encoding="utf-8")
    assert "## Scores\n\n| Method | Value |" in markdown
    assert "![A &lt;line&gt;](plots/line.png)" in markdown
    assert (written.parent / "plots" / "line.png").read_bytes()[:4] == b"\x89PNG"
    assert (written.parent / "plots" / "line.svg").read_text().startswith("<?xml")


def test_the_page_shows_text_as_it_stands_and_sorts_by_numbers(tmp_path):
    page = save_result_page(_page(), tmp_path).read_text(encoding="utf-8")
    assert "What &lt;is&gt; it?" in page
    assert '<th scope="row">a &lt; b</th>' in page
    assert '<td data-sort="1.25">1.25</td>' in page
    assert '<p class="headline">It is.</p>' in page
    assert '<p class="note">On what ships.</p>' in page
    assert "masam report a b" in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_the_same_content_gives_the_same_bytes(tmp_path):
    for place in ("a", "b"):
        save_result_page(_page(), tmp_path / place)
    for path in (tmp_path / "a").rglob("*.*"):
        other = tmp_path / "b" / path.relative_to(tmp_path / "a")
        assert path.read_bytes() == other.read_bytes(), path.name
