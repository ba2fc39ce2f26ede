"""Everything that a reader sees of a run that is judged by another metric than accuracy."""

import csv
import io
import json
import re

import numpy as np
import pytest
from rich.console import Console

from masam_jax.analysis.conclusion import headline
from masam_jax.analysis.latex import to_latex
from masam_jax.analysis.plots import make_plots
from masam_jax.analysis.primary_metric import primary_metric, primary_scores
from masam_jax.analysis.records import read_directory
from masam_jax.analysis.report import write_report
from masam_jax.analysis.statistics import paired_test, summarize
from masam_jax.analysis.table_files import save_tables
from masam_jax.analysis.table_formats import to_csv, to_markdown, to_rich
from masam_jax.analysis.tables import comparison_table, probe_table, unimodal_table
from masam_jax.analysis.tuning_table import tuning_to_markdown, tuning_to_rich
from masam_jax.training.classification_metrics import METRICS
from masam_jax.training.metric_names import phrase
from tests.analysis.fake_directories import (
    MODALITIES,
    ZOO,
    fake_metrics,
    fake_result,
    write_comparison,
    write_json,
    write_run,
)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Whose scores rise where its accuracy falls, see `fake_result`."""
    return write_comparison(tmp_path_factory.mktemp("auprc") / "run", seeds=6, metric="auprc")


@pytest.fixture(scope="module")
def record(path):
    return read_directory(path)


@pytest.fixture(scope="module")
def rows(record):
    return comparison_table(record.results)


@pytest.fixture(scope="module")
def plots(record):
    return {plot.name: plot for plot in make_plots(record)}


def test_accuracy_is_meant_where_none_is_named(tmp_path):
    assert primary_metric({}) == "accuracy"
    assert read_directory(write_comparison(tmp_path / "comparison")).metric == "accuracy"


def test_a_run_is_judged_by_its_own_metric(tmp_path):
    result = fake_result("masam", "MASAM", [0.4, 0.5], metric="auprc")
    record = read_directory(write_run(tmp_path / "run", result, fake_metrics(result, traced=True)))
    assert record.metric == "auprc"
    assert record.scores(record.baseline) == [0.4, 0.5]
    assert record.results["modalities"] == list(MODALITIES)
    text = headline(comparison_table(record.results), "mimic_phenotype")
    assert text == (
        "MASAM reached 45.00 ± 7.07 % test AUPRC (macro) on mimic_phenotype over 2 seeds."
    )


def test_an_unknown_or_missing_metric_is_named(tmp_path):
    path = write_comparison(tmp_path / "comparison", seeds=2)
    results = json.loads((path / "results.json").read_text())
    write_json(path / "results.json", results | {"metric": "auprk"})
    with pytest.raises(ValueError, match=r"comparison: unknown metric 'auprk'; did you mean"):
        read_directory(path)
    with pytest.raises(ValueError, match=r"'late_fusion' has no 'map' on the test split; it has"):
        primary_scores(results["methods"][0], "test", "map")


def test_rows_compare_scores_and_keep_the_accuracy(record, rows):
    baseline, sam, masam = (result["test"] for result in record.results["methods"])
    assert [row.is_best for row in rows] == [False, False, True]
    assert np.argmax([row.accuracy.mean for row in rows]) == 1
    assert rows[2].score == summarize(masam["auprc"])
    assert rows[2].accuracy == summarize(masam["accuracy"])
    assert rows[1].difference == paired_test(sam["auprc"], baseline["auprc"])
    heads = np.mean([masam["unimodal_auprc"][m] for m in MODALITIES], axis=0)
    assert rows[2].unimodal.mean == pytest.approx(heads.mean())


def test_columns_are_named_after_the_metric(rows):
    assert list(rows[2].cells())[:3] == ["Method", "Test AUPRC (macro), %", "Macro-F1, %"]
    assert list(rows[2].terminal_cells())[1] == "AUPRC (macro), %"
    further = rows[2].further_cells()
    assert list(further)[2:4] == ["Accuracy, %", "Mean unimodal AUPRC (macro), %"]
    assert further["Accuracy, %"] == "35.93 ± 0.34"
    assert to_markdown(rows).splitlines()[-1].startswith("| MASAM ρ=12 | **94.07 ± 0.34** |")


def test_macro_f1_is_shown_once_where_it_is_the_metric():
    results = {
        "metric": "macro_f1",
        "baseline": "a",
        "methods": [fake_result("a", "A", [0.9, 0.8]), fake_result("b", "B", [0.91, 0.83])],
    }
    rows = comparison_table(results)
    score, macro_f1 = rows[1].score.mean, np.mean(results["methods"][1]["test"]["macro_f1"])
    assert score == pytest.approx(macro_f1)
    assert list(rows[1].cells())[1:3] == ["Test macro-F1, %", "Difference, points"]
    assert to_latex(rows).count("Macro-F1") == 1


def test_csv_has_both_in_full_precision(record, rows):
    line = list(csv.DictReader(io.StringIO(to_csv(rows))))[2]
    test = record.results["methods"][2]["test"]
    for key in ("auprc", "accuracy"):
        assert float(line[f"{key}_mean"]) == summarize(test[key]).mean
        assert float(line[f"{key}_std"]) == summarize(test[key]).std
    assert "unimodal_auprc_mean" in line
    assert "unimodal_accuracy_mean" not in line


def test_single_modalities_have_the_metric_and_probes_accuracy(record):
    heads, probes = unimodal_table(record.results), probe_table(record.results)
    expected = record.results["methods"][0]["test"]
    assert heads[0].scores["fou"] == summarize(expected["unimodal_auprc"]["fou"])
    assert probes[0].scores["fou"] == summarize(expected["probe_accuracy"]["fou"])
    assert to_csv(heads).startswith("method,spec,fou_auprc_mean,")
    assert to_csv(probes).startswith("method,spec,fou_accuracy_mean,")


def test_headline_and_terminal_speak_of_the_metric(rows):
    text = headline(rows, "mimic_phenotype")
    assert text.startswith(
        "MASAM ρ=12 has the highest test AUPRC (macro) on mimic_phenotype, 94.07"
    )
    assert "accuracy" not in text
    console = Console(width=100, file=io.StringIO(), color_system=None)
    console.print(to_rich(rows))
    assert console.file.getvalue().startswith("Test AUPRC (macro), mean ± standard deviation over")


def test_latex_has_the_metric_in_its_heading_and_the_best_in_bold(rows):
    text = to_latex(rows)
    assert r"Method & AUPRC (macro), \% & Macro-F1, \% & Difference" in text
    assert r"MASAM $\rho$=12 & $\mathbf{94.07} \pm 0.34$\rlap{$^{\dagger}$} &" in text


@pytest.mark.parametrize("metric", METRICS)
def test_terminal_table_of_the_zoo_fits_100_columns(metric):
    methods = [fake_result(s, t, [a, a + 0.01, a], metric=metric) for s, t, a, _ in ZOO]
    rows = comparison_table({"metric": metric, "baseline": methods[0]["spec"], "methods": methods})
    console = Console(width=100, file=io.StringIO(), color_system=None)
    console.print(to_rich(rows, width=100))
    text = console.file.getvalue()
    assert text.startswith(f"Test {phrase(metric)}, mean")
    for row in rows:
        assert list(row.terminal_cells().values())[1] in text, "a number was folded or cut"


def test_plots_draw_the_metric(record, plots):
    assert list(plots)[:6] == [
        "final-test-auprc",
        "paired-differences",
        "critical-difference",
        "validation-auprc",
        "training-loss",
        "unimodal-auprc",
    ]
    for name in ("final-test-auprc", "critical-difference", "validation-auprc", "unimodal-auprc"):
        assert "AUPRC (macro)" in plots[name].caption
        assert "ccuracy" not in plots[name].caption + plots[name].title
    final = plots["final-test-auprc"].figure.axes[0]
    assert final.get_xlabel() == "test AUPRC (macro), %"
    dots = final.collections[2].get_offsets()[:, 0]
    np.testing.assert_allclose(dots, 100 * np.array(record.scores(record.methods[2])))
    panel = plots["validation-auprc"].figure.axes[0]
    curve = record.methods[2].curve("validation", "auprc")
    line = [each for each in panel.lines if len(each.get_xdata()) == len(curve.steps)][2]
    np.testing.assert_allclose(line.get_ydata(), 100 * curve.values.mean(axis=1))
    heads = plots["unimodal-auprc"].figure.axes[1]
    assert heads.get_title().startswith("fou\n")
    ours, theirs = (
        np.array(method.result["test"]["unimodal_auprc"]["fou"])
        for method in (record.methods[2], record.methods[0])
    )
    dot = heads.lines[-1].get_xdata()[0]
    assert dot == pytest.approx(100 * (ours - theirs).mean(), abs=1e-9)


def test_ranks_are_of_the_metric(plots):
    texts = [text.get_text() for text in plots["critical-difference"].figure.axes[0].texts]
    # A name, and its mean rank.
    assert texts[texts.index("MASAM ρ=12") + 1] == "1.00"


def test_file_names_have_hyphens_alone(tmp_path):
    result = fake_result("masam", "MASAM", [0.4, 0.5], metric="micro_auprc")
    record = read_directory(write_run(tmp_path / "run", result, fake_metrics(result, traced=False)))
    names = [plot.name for plot in make_plots(record)]
    assert names[:2] == ["final-test-micro-auprc", "validation-micro-auprc"]


def test_report_and_tables_speak_of_the_metric(path):
    html = write_report(path).read_text(encoding="utf-8")
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html)).replace("\u00a0", " ")
    for words in (
        "MASAM ρ=12 has the highest test AUPRC (macro) on mfeat",
        "The highest mean AUPRC (macro) is in bold",
        "Wilcoxon's test, unimodal heads, accuracy, fusion loss",
        "Test AUPRC (macro) of every seed, in percent",
        "Accuracy of linear probes on the frozen encoders",
        "AUPRC (macro) of the unimodal heads",
        "Test split. A probe is",
        "is not trained, and its AUPRC (macro) means nothing.",
    ):
        assert words in text, words
    assert not re.search(r"(test|validation|mean) accuracy", text.replace("Mean probe", ""))
    markdown = save_tables(path)[0].read_text(encoding="utf-8")
    assert "\nTest accuracy of linear probes on the frozen encoders:\n" in markdown
    assert "\nTest AUPRC (macro) of the unimodal heads:\n" in markdown


def test_report_has_the_scores_of_every_seed(path, record):
    html = write_report(path).read_text(encoding="utf-8")
    table = html.partition("of every seed, in percent")[2].partition("</table>")[0]
    cells = [float(cell) for cell in re.findall(r"<td[^>]*>([\d.]+)</td>", table)]
    expected = np.transpose([record.scores(method) for method in record.methods])
    np.testing.assert_allclose(np.reshape(cells, expected.shape), 100 * expected, atol=0.005)


def test_tuning_is_by_the_metric():
    row = {"method": "sam", "best": "sam:rho=1", "trials": 3, "pruned": 1}
    row |= {"default_score": [0.4, 0.5], "best_score": [0.5, 0.6]}
    best = {"dataset": "adni", "metric": "map", "seeds": [20, 21], "tuned": [row]}
    lines = tuning_to_markdown(best).splitlines()
    assert lines[0] == "# Tuning on adni: validation mAP, seeds 20 to 21"
    assert "| Method | Default mAP, % | Best mAP, % | Best | Trials | Pruned |" in lines
    assert tuning_to_rich(best).title == lines[0].removeprefix("# ")
    del best["metric"]
    assert "| Method | Default accuracy, % | Best accuracy, % |" in tuning_to_markdown(best)
