import csv
import io

import pytest
from rich.console import Console

from masam_jax.analysis.statistics import holm, paired_test, summarize
from masam_jax.analysis.table_formats import to_csv, to_markdown, to_rich
from masam_jax.analysis.tables import comparison_table, cost_reference, probe_table, unimodal_table
from tests.analysis.fake_directories import ZOO, fake_result

BASELINE = [0.93, 0.92, 0.94, 0.91]
BETTER = [0.94, 0.94, 0.944, 0.932]


def _printed(table, width):
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(table)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


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
    assert masam.score.mean == masam.accuracy.mean == pytest.approx(0.939)
    assert masam.macro_f1.mean == pytest.approx(0.938)


def test_markdown_shows_percent_points_and_dashes(results):
    lines = to_markdown(comparison_table(results)).splitlines()
    assert lines[0] == (
        "| Method | Test accuracy, % | Macro-F1, % | Difference, points | p (paired t) | p (Holm) "
        "| Mean probe accuracy, % | Steps/s | FLOPs × |"
    )
    assert lines[2] == (
        "| Late fusion | 92.50 ± 1.29 | 92.40 ± 1.29 | baseline | — | — | 82.50 ± 1.29 | 128 "
        "| 1.00 |"
    )
    assert "| MASAM [all] | **93.90 ± 0.50** | 93.80 ± 0.50 | +1.40 | 0.046 | 0.061 |" in lines[3]
    assert lines[4].startswith("| SAM \\| plain | 90.00 ± 0.00 | 89.90 ± 0.00 | −2.50 |")
    assert len(lines) == 5


def test_csv_keeps_full_precision_and_leaves_undefined_fields_empty(results):
    rows = list(csv.DictReader(io.StringIO(to_csv(comparison_table(results)))))
    test = paired_test(BETTER, BASELINE)
    assert float(rows[1]["p_paired_t"]) == test.p_value
    assert float(rows[1]["difference_mean"]) == test.mean_difference
    assert rows[0]["p_paired_t"] == ""
    assert rows[2]["spec"] == "sam"


def test_terminal_table_takes_titles_literally(results):
    text = _printed(to_rich(comparison_table(results), title="Results"), 100)
    assert "MASAM [all]" in text
    assert "93.90 ± 0.50" in text
    assert "Results" in text


def test_terminal_table_of_the_zoo_fits_100_columns():
    methods = [fake_result(spec, title, [a, a + 0.01, a]) for spec, title, a, _ in ZOO]
    rows = comparison_table(_results(*methods))
    text = _printed(to_rich(rows), 100)
    headings = text.splitlines()[2].split("  ")
    assert [h.strip() for h in headings if h.strip()] == [
        "Method",
        "Accuracy, %",
        "Macro-F1, %",
        "Difference",
        "p (Holm)",
        "Probe, %",
        "Steps/s",
        "FLOPs ×",
    ]
    assert text.startswith("Test accuracy, mean ± standard deviation over 3 seeds")
    for row in rows:
        assert list(row.terminal_cells().values())[1] in text, "a number was folded or cut"


def test_narrow_terminal_names_what_it_leaves_out(results):
    rows = comparison_table(results)
    text = _printed(to_rich(rows, width=80), 80)
    assert "Probe, %" in text.splitlines()[-1]
    assert "Probe, %" not in text.splitlines()[2]
    assert text.splitlines()[-1].startswith("no room for: ")
    for row in rows:
        assert row.terminal_cells()["p (Holm)"] in text
    assert "no room" not in _printed(to_rich(rows, width=100), 100)


def test_costs_are_relative_to_late_fusion_wherever_it_stands():
    methods = [fake_result(n, n, [0.9, 0.8]) for n in ("sam", "late_fusion", "masam")]
    for method, flops in zip(methods, (4e6, 2e6, 5e6), strict=True):
        method |= {"flops_per_step": flops, "steps_per_second": 1e8 / flops}
    rows = comparison_table(_results(*methods))
    assert [row.flops_ratio for row in rows] == [2.0, 1.0, 2.5]
    assert [row.cells()["Steps/s"] for row in rows] == ["25.0", "50.0", "20.0"]
    assert cost_reference(_results(*methods))["spec"] == "late_fusion"


def test_costs_are_relative_to_the_baseline_without_late_fusion():
    methods = [fake_result(n, n, [0.9, 0.8]) for n in ("sam", "masam")]
    methods[1]["flops_per_step"] = 3e7
    rows = comparison_table({"baseline": "masam", "methods": methods})
    assert [row.flops_ratio for row in rows] == [pytest.approx(5 / 6), 1.0]


@pytest.mark.parametrize("unknown", [None, 0.0, -1.0, float("nan"), "missing"])
def test_costs_that_nobody_knows_are_dashes(unknown):
    methods = [fake_result(n, n, [0.9, 0.8]) for n in ("late_fusion", "masam")]
    for key in ("flops_per_step", "steps_per_second"):
        methods[0][key] = unknown
        if unknown == "missing":
            del methods[0][key]
    rows = comparison_table(_results(*methods))
    assert [row.flops_ratio for row in rows] == [None, None]
    assert rows[0].cells()["FLOPs ×"] == rows[0].cells()["Steps/s"] == "—"
    assert rows[1].cells()["Steps/s"] == "128"
    assert next(csv.DictReader(io.StringIO(to_csv(rows))))["flops_per_step"] == ""


def test_p_values_are_corrected_over_the_whole_table(results):
    baseline, *others = rows = comparison_table(results)
    assert baseline.p_holm is None
    corrected = holm([row.difference.p_value for row in others])
    assert [row.p_holm for row in others] == corrected
    assert [row.is_significant for row in rows] == [False, *(p < 0.05 for p in corrected)]
    written = csv.DictReader(io.StringIO(to_csv(rows)))
    assert [float(line["p_paired_t_holm"] or "nan") for line in written][1:] == corrected


def test_a_comparison_without_p_value_does_not_count_for_the_correction():
    shifted = [a + 0.01 for a in BASELINE]
    rows = comparison_table(
        _results(
            fake_result("late_fusion", "Late fusion", BASELINE),
            fake_result("shifted", "Shifted", shifted),
            fake_result("better", "Better", BETTER),
        )
    )
    assert rows[1].p_holm is None
    assert rows[2].p_holm == rows[2].difference.p_value


def test_mean_of_heads_is_taken_seed_by_seed():
    result = fake_result("a", "A", [0.9, 0.8])
    result["test"]["unimodal_accuracy"] = {"x": [0.6, 0.2], "y": [0.4, 0.8]}
    (row,) = comparison_table(result)
    assert (row.unimodal.mean, row.unimodal.std) == (0.5, 0.0)
    result["test"]["unimodal_accuracy"]["y"][0] = None
    (row,) = comparison_table(result)
    assert row.unimodal.mean is None


def test_one_method_has_nothing_to_compare():
    text = to_markdown(comparison_table(fake_result("masam", "MASAM", [0.9, 0.8])))
    headings = "| Method | Test accuracy, % | Macro-F1, % | Mean probe accuracy, % | Steps/s |"
    assert text.splitlines()[0] == headings


def test_one_seed_shows_dashes_for_spread_and_tests():
    rows = comparison_table(_results(fake_result("a", "A", [0.9]), fake_result("b", "B", [0.92])))
    cells = rows[1].cells()
    assert cells["Test accuracy, %"] == "92.00 ± —"
    assert cells["Difference, points"] == "+2.00"
    assert cells["p (paired t)"] == cells["p (Holm)"] == "—"
    assert rows[1].further_cells()["p (Wilcoxon)"] == "—"
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
    cells = second.cells() | second.further_cells()
    for name in ("Test accuracy, %", "Difference, points", "p (paired t)", "Fusion loss, nats"):
        assert cells[name] == "—", name


def test_metrics_that_were_not_recorded_are_dashes():
    result = fake_result("a", "A", [0.9, 0.8])
    result["test"] = {"accuracy": [0.9, 0.8]}
    del result["seconds"]
    (row,) = comparison_table(result)
    cells = row.cells() | row.further_cells()
    for name in ("Macro-F1, %", "Mean probe accuracy, %", "Seconds"):
        assert cells[name] == "—", name
    assert unimodal_table(result) == []
    assert to_markdown([]) == to_csv([]) == ""


def test_probe_table_is_of_the_methods_that_were_probed(results):
    del results["methods"][0]["test"]["probe_accuracy"]
    rows = probe_table(results)
    assert [row.spec for row in rows] == [m["spec"] for m in results["methods"][1:]]
    expected = summarize(results["methods"][1]["test"]["probe_accuracy"]["fou"])
    assert rows[0].scores["fou"] == expected


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
