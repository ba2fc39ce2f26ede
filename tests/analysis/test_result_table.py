"""Tables of any shape, in each of their forms."""

import csv
import io

import pytest

from masam_jax.analysis.result_table import (
    Cell,
    ResultTable,
    interval_cell,
    number_cell,
    score_table,
    summary_cell,
    text_cell,
    with_best,
)
from masam_jax.analysis.statistics import Summary

TABLE = score_table(
    "scores",
    "Scores",
    {
        "late | fusion": {"a_b": Summary(0.5, 0.01, 3)},
        "MASAM ρ=3": {"a_b": Summary(0.75, 0.02, 3), "c": Summary(0.25, None, 1)},
    },
    caption="In percent.",
)


def test_the_best_of_a_column_is_bold_where_there_is_a_choice():
    assert TABLE.markdown().splitlines() == [
        "| Method | a_b | c |",
        "| :-- | --: | --: |",
        "| late \\| fusion | 50.00 ± 1.00 | — |",
        "| MASAM ρ=3 | **75.00 ± 2.00** | 25.00 ± — |",
    ]


def test_latex_is_a_tabular_that_says_what_it_is():
    lines = TABLE.latex().splitlines()
    assert lines[1:4] == ["% Scores.", r"% In percent.", r"\begin{tabular}{lrr}"]
    assert r"MASAM $\rho$=3 & \textbf{75.00 $\pm$ 2.00} & 25.00 $\pm$ --- \\" in lines
    assert r"a\_b" in TABLE.latex()


def test_csv_has_the_numbers_themselves():
    rows = list(csv.reader(io.StringIO(TABLE.csv())))
    assert rows == [
        ["Method", "a_b mean", "a_b std", "c mean", "c std"],
        ["late | fusion", "0.5", "0.01", "", ""],
        ["MASAM ρ=3", "0.75", "0.02", "0.25", ""],
    ]


def test_words_and_numbers_may_share_a_column():
    rows = ((text_cell("a"), number_cell(1.5)), (text_cell("b"), text_cell("baseline")))
    table = ResultTable("t", "T", ("name", "value"), rows)
    assert list(csv.reader(io.StringIO(table.csv()))) == [
        ["name", "value"],
        ["a", "1.5"],
        ["b", ""],
    ]
    assert "baseline" in table.markdown()


def test_tables_without_rows_are_empty():
    table = ResultTable("t", "T", ("name",), ())
    assert table.markdown() == table.latex() == ""


def test_rows_have_a_cell_for_every_heading():
    with pytest.raises(ValueError, match="table 't' has 2 headings and a row of 1"):
        ResultTable("t", "T", ("a", "b"), ((text_cell("x"),),))


def test_the_best_may_be_the_lowest_and_ties_share_it():
    rows = [(Cell("a"), number_cell(value)) for value in (2.0, 1.0, 1.0, None)]
    marked = with_best(rows, 1, of="", lowest=True)
    assert [row[1].is_best for row in marked] == [False, True, True, False]
    alone = with_best(rows[:1], 1, of="")
    assert not alone[0][1].is_best


def test_cells_keep_what_they_were_made_of():
    assert summary_cell(Summary(0.5, 0.1, 4), scale=100).numbers == {"mean": 0.5, "std": 0.1}
    assert interval_cell(0.5, (0.25, 0.75)).numbers == {"mean": 0.5, "low": 0.25, "high": 0.75}
    assert interval_cell(None, None).text == "—"


def test_the_terminal_takes_names_literally():
    table = ResultTable("t", "T", ("[bold]name",), ((text_cell("[red]x"),),))
    assert str(table.rich().columns[0].header) == "[bold]name"
