import csv
import io

import pytest
from rich.console import Console

from masam_jax.analysis.statistics import paired_test
from masam_jax.analysis.tables import (
    comparison_table,
    to_csv,
    to_markdown,
    to_rich,
    unimodal_table,
)
from tests.analysis.fake_directories import fake_result

BASELINE = [0.93, 0.92, 0.94, 0.91]
BETTER = [0.94, 0.94, 0.944, 0.932]


def _results(*methods):
    return {"baseline": methods[0]["spec"], "methods": list(methods)}


@pytest.fixture
def results():
    return _results(
        fake_result("late_fusion", "Late fusion", BASELINE),
        fake_result("masam", "MASAM [all]", BETTER),
        fake_result("sam", "SAM | plain", [0.9, 0.9, 0.9, 0.9]),
    )


def test_rows_compare_with_the_baseline(results):
    baseline, masam, sam = comparison_table(results)
    assert baseline.is_baseline
    assert baseline.difference is None
    assert masam.difference == paired_test(BETTER, BASELINE)
    assert [row.is_best for row in (baseline, masam, sam)] == [False, True, False]
    assert masam.accuracy.mean == pytest.approx(0.939)
    assert masam.macro_f1.mean == pytest.approx(0.938)


def test_markdown_shows_percent_points_and_dashes(results):
    lines = to_markdown(comparison_table(results)).splitlines()
    assert lines[0].startswith("| Method | Test accuracy, % | Difference, points | p (paired t) |")
    assert lines[2].startswith("| Late fusion | 92.50 ± 1.29 | baseline | — | — |")
    assert "| MASAM [all] | **93.90 ± 0.50** | +1.40 | 0.046 | 0.12 |" in lines[3]
    assert lines[4].startswith("| SAM \\| plain | 90.00 ± 0.00 | −2.50 |")
    assert len(lines) == 5


def test_csv_keeps_full_precision_and_leaves_undefined_fields_empty(results):
    rows = list(csv.DictReader(io.StringIO(to_csv(comparison_table(results)))))
    test = paired_test(BETTER, BASELINE)
    assert float(rows[1]["p_paired_t"]) == test.p_value
    assert float(rows[1]["difference_mean"]) == test.mean_difference
    assert rows[0]["p_paired_t"] == ""
    assert rows[2]["spec"] == "sam"


def test_terminal_table_takes_titles_literally(results):
    console = Console(width=160, file=io.StringIO(), color_system=None)
    console.print(to_rich(comparison_table(results), title="Results"))
    text = console.file.getvalue()
    assert "MASAM [all]" in text
    assert "93.90 ± 0.50" in text
    assert "Results" in text


def test_one_seed_shows_dashes_for_spread_and_tests():
    rows = comparison_table(_results(fake_result("a", "A", [0.9]), fake_result("b", "B", [0.92])))
    cells = rows[1].cells()
    assert cells["Test accuracy, %"] == "92.00 ± —"
    assert cells["Difference, points"] == "+2.00"
    assert cells["p (paired t)"] == cells["p (Wilcoxon)"] == "—"
    text = (
        to_markdown(rows)
        + to_csv(rows)
        + to_markdown(unimodal_table(_results(fake_result("a", "A", [0.9]))))
    )
    assert "nan" not in text.lower()


def test_a_diverged_method_is_neither_ranked_nor_compared():
    diverged = fake_result("b", "B", [0.99, 0.99])
    diverged["test"]["accuracy"] = [0.99, None]
    diverged["test"]["fusion_loss"] = [float("nan"), 0.1]
    first, second = comparison_table(_results(fake_result("a", "A", [0.9, 0.8]), diverged))
    assert first.is_best
    assert not second.is_best
    cells = second.cells()
    for name in ("Test accuracy, %", "Difference, points", "p (paired t)", "Fusion loss, nats"):
        assert cells[name] == "—", name


def test_metrics_that_were_not_recorded_are_dashes():
    result = fake_result("a", "A", [0.9, 0.8])
    result["test"] = {"accuracy": [0.9, 0.8]}
    del result["seconds"]
    (row,) = comparison_table(result)
    assert row.cells()["Macro-F1, %"] == row.cells()["Seconds"] == "—"
    assert unimodal_table(result) == []
    assert to_markdown([]) == to_csv([]) == ""


def test_unimodal_table_has_a_column_per_modality(results):
    results["methods"][1]["test"]["unimodal_accuracy"].pop("pix")
    rows = unimodal_table(results)
    assert list(rows[0].cells()) == ["Method", "fou, %", "pix, %", "zer, %"]
    assert rows[0].cells()["fou, %"] == "82.50 ± 1.29"
    assert rows[1].cells()["pix, %"] == "—"
    assert "**" not in to_markdown(rows)
    assert to_csv(rows).startswith("method,spec,fou_accuracy_mean,fou_accuracy_std,")


def test_validation_results_say_so():
    methods = [fake_result(s, s, [0.9, 0.8]) for s in ("a", "b")]
    for method in methods:
        del method["test"]
    rows = comparison_table(_results(*methods))
    assert rows[0].split == "validation"
    assert "Validation accuracy, %" in rows[0].cells()


def test_methods_on_different_splits_are_refused():
    one, other = fake_result("a", "A", [0.9]), fake_result("b", "B", [0.9])
    del one["test"], other["validation"]
    with pytest.raises(ValueError, match="not all evaluated on the same split"):
        comparison_table(_results(one, other))


def test_methods_with_other_seeds_are_refused():
    one, other = fake_result("a", "A", [0.9, 0.8]), fake_result("b", "B", [0.9, 0.8])
    other["seeds"] = [5, 6]
    with pytest.raises(ValueError, match=r"'b' has the seeds \[5, 6\]"):
        comparison_table(_results(one, other))


def test_missing_baseline_and_no_methods_are_refused(results):
    with pytest.raises(ValueError, match="baseline 'adam' is not among the methods"):
        comparison_table(results | {"baseline": "adam"})
    with pytest.raises(ValueError, match="no methods"):
        comparison_table({"methods": []})
