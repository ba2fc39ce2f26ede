"""Names of any kind in a run's tables."""

import csv
import re

import pytest

from masam_jax.analysis.markdown import code_span, escape_markdown, one_line
from masam_jax.analysis.plots import save_plots
from masam_jax.analysis.report import write_report
from masam_jax.analysis.table_files import save_tables
from masam_jax.analysis.table_formats import to_rich
from masam_jax.analysis.tables import comparison_table, probe_table
from tests.analysis.fake_directories import fake_result, write_comparison, write_json

_NAMES = (
    "<script>alert(1)</script>",
    "=1+1|cmd",
    "+x\n| forged | 99.9 |",
    "`code` **bold** _under_ ~gone~",
    "[link](javascript:alert(1)) & $\\frac{",
    "[/red]\x1b[31m\u202e",
    "@SUM(A1)",
    "-2+3",
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A comparison whose methods and modalities have hostile names."""
    methods = [
        (f"late_fusion{i or ''}", name, 0.9 + i / 100, i == 1) for i, name in enumerate(_NAMES)
    ]
    place = tmp_path_factory.mktemp("names") / "run"
    return write_comparison(
        place, seeds=2, methods=methods, modalities=("<b>m|0", "[/]=m1"), steps=4
    )


def test_tables_show_names_as_they_are(run):
    save_tables(run)
    markdown = (run / "table.md").read_text()
    assert "<script" not in markdown
    assert not re.search(r"<\w", markdown)
    for block in re.findall(r"(?:^\|.*\n)+", markdown, re.MULTILINE):
        lines = block.splitlines()
        # As many lines as methods, and as many cells in each as in the first.
        assert len(lines) == 2 + len(_NAMES)
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in markdown
    assert "| +x \\| forged \\| 99.9 \\| |" in markdown
    assert "\\`code\\` \\*\\*bold\\*\\* \\_under\\_ \\~gone\\~" in markdown
    assert "[link\\](javascript:alert(1)) &amp; \\$\\\\frac{" in markdown
    assert "\x1b" not in markdown
    assert "\u202e" not in markdown


def test_csv_cells_are_no_formulas_and_numbers_stay(run):
    save_tables(run)
    with (run / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows] == [
        "<script>alert(1)</script>",
        "'=1+1|cmd",
        "'+x | forged | 99.9 |",
        *_NAMES[3:5],
        "[/red][31m",
        "'@SUM(A1)",
        "'-2+3",
    ]
    differences = [row["difference_mean"] for row in rows[1:]]
    assert all(float(value) for value in differences)


def test_report_plots_and_terminal_take_the_names(run):
    save_plots(run)
    page = write_report(run).read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<b>m|0" not in page


def test_the_terminal_shows_brackets():
    results = fake_result("sam", "[/red]", [0.5], modalities=("[/]m",))
    table = to_rich(probe_table(results), title="[/]")
    assert [str(column.header) for column in table.columns] == ["Method", "[/]m, %"]
    assert str(to_rich(comparison_table(results)).columns[0]._cells[0]) == "[/red]"


@pytest.mark.parametrize("slug", ["../../x", "/x", "..", "", "a/b", "a\0b", "..\\x", 3])
def test_a_slug_is_no_path(run, tmp_path, slug):
    result = fake_result("sam", "SAM", [0.5]) | {"slug": slug}
    write_json(tmp_path / "results.json", {"baseline": "sam", "methods": [result]})
    with pytest.raises(ValueError, match=r"results\.json: slug is .* is needed"):
        save_plots(tmp_path)
    assert list(tmp_path.iterdir()) == [tmp_path / "results.json"]


def test_one_line_and_code():
    assert one_line("a\n\tb\x00\u200b") == "a b"
    assert escape_markdown("a_b _c_ d_") == "a_b \\_c\\_ d\\_"
    assert code_span("``x`") == "``` ``x` ```"
    assert code_span("masam:rho=1\n| x") == "`masam:rho=1 \\| x`"
