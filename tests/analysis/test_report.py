import errno
import json
import os
import re
import zlib
from html.parser import HTMLParser

import numpy as np
import pytest

from masam_jax.analysis.report import flatten, write_report
from masam_jax.analysis.table_files import save_tables
from tests.analysis.fake_directories import (
    fake_metrics,
    fake_result,
    write_comparison,
    write_counts,
    write_json,
    write_run,
)

VOID = {"meta", "link", "img", "br", "hr", "input", "wbr"}


class _Page(HTMLParser):
    """Text, tables, images and addresses of a page; checks that its tags are balanced."""

    def __init__(self, text):
        super().__init__()
        self.open, self.words, self.addresses, self.drawings, self.tables = [], [], [], [], []
        self.keys = []
        self.feed(text)
        self.close()
        assert self.open == []

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.addresses += [values[a] for a in ("src", "href", "srcset", "action") if a in values]
        if values.get("role") == "img":
            self.drawings.append(values["aria-label"])
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self.keys.append(values.get("data-sort"))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)
        if {"td", "th"} & set(self.open[-2:]):
            self.tables[-1][-1][-1] += data.replace("\u00a0", " ")


def _read(path):
    return _Page(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    return write_comparison(tmp_path_factory.mktemp("report") / "comparison", seeds=6)


@pytest.fixture(scope="module")
def page(comparison):
    return _read(write_report(comparison))


def test_report_is_one_page_that_asks_nothing_of_the_network(comparison, page):
    html = (comparison / "report.html").read_text(encoding="utf-8")
    assert page.addresses
    assert all(address.startswith("data:") for address in page.addresses)
    assert not re.search(r"url\((?!#)|@import|https?://|\bfetch\(|src=", html)
    assert html.count("<script") == 1
    assert not list(comparison.glob("*.tmp"))


def test_report_draws_the_plots_that_it_writes(comparison, page):
    written = list((comparison / "plots").glob("*.png"))
    html = (comparison / "report.html").read_text(encoding="utf-8")
    assert html.count("<svg ") == len(page.drawings) == len(written) == 8
    assert all(len(words) > 80 for words in page.drawings)
    # Their colours are the page's, and the page has two.
    assert "fill: var(--plot-1)" in html
    assert re.search(r"prefers-color-scheme: dark\) \{ :root \{ --plot-ink: #e7eaee", html)


def test_captions_explain_bands_bars_and_grey(page):
    captions = {words.partition(".")[0]: words for words in page.drawings}
    assert (
        "Bands: from the lowest seed to the highest."
        in captions["Validation accuracy over training"]
    )
    assert "Bar: lowest to highest seed." in captions["Test accuracy"]
    for words in page.drawings:
        assert words.partition(". ")[2] in page.text


def test_methods_have_their_label_their_specification_and_words(page):
    table = next(t for t in page.tables if t[0][0] == "Name")
    assert table[3] == [
        "MASAM ρ=12",
        "masam:rho=12",
        "Modality-aware SAM: perturbs the dominant encoder alone",
    ]
    assert "perturbation radius ρ" in page.text


def test_cells_carry_the_number_to_sort_by(comparison, page):
    table = page.tables[0]
    keys = page.keys[len(table[0]) :][: 3 * len(table[0])]
    assert keys[0] is None
    assert float(keys[1]) == float(table[1][1].partition(" ")[0])
    assert keys[3] == "0.0"  # The baseline against itself.
    assert keys[4] is None
    html = (comparison / "report.html").read_text(encoding="utf-8")
    assert html.count('<table class="sortable">') == 6
    # Without the script it is a plain table: the buttons are the script's.
    assert "<button" not in html


def test_printing_leaves_out_what_is_folded(comparison):
    html = (comparison / "report.html").read_text(encoding="utf-8")
    printed = html[html.index("@media print {") :]
    assert "details:not([open]) { display: none; }" in printed
    assert "--paper: #ffffff" in printed
    assert "color-scheme: light" in printed
    assert "@media screen and (prefers-color-scheme: dark)" in html
    assert "@media (prefers-color-scheme: dark)" not in html


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("classes", [3, 101])
def test_every_method_has_its_classes(tmp_path, multi_label, classes):
    directory = write_comparison(tmp_path / "comparison", seeds=3)
    names = [f"class {k}" for k in range(classes)]
    counts = write_counts(directory, classes, multi_label=multi_label, names=names)
    page = _read(write_report(directory))
    what = "Label" if multi_label else "Class"
    tables = [t for t in page.tables if t[0][0] == what]
    assert [len(t) for t in tables] == [1 + min(classes, 15)] * 3
    hits = counts[2].sum(axis=0)
    for line in tables[2][1:]:
        k = names.index(line[0])
        support = hits[k, 1].sum() if multi_label else hits[k].sum()
        assert line[4] == str(support)
    matrices = [t for t in page.tables if t[0][0].startswith("true")]
    if multi_label or classes > 20:
        assert matrices == []
    else:
        assert matrices[1][0][1:] == names
        found = np.array([[int(cell) for cell in line[1:]] for line in matrices[1][1:]])
        np.testing.assert_array_equal(found, counts[1].sum(axis=0))
    pairs = [t for t in page.tables if t[0][0] == "True class"]
    assert len(pairs) == (3 if classes > 20 and not multi_label else 0)
    if pairs:
        off = counts[0].sum(axis=0) * (1 - np.eye(classes, dtype=int))
        assert int(pairs[0][1][2]) == off.max()
    assert "classes.csv" in page.text


def test_a_run_of_before_has_no_classes(page):
    assert "classes.csv" not in page.text


def test_report_shows_the_main_table(page):
    headings, baseline, sam, masam = page.tables[0]
    assert headings == [
        "Method",
        "Test accuracy, %",
        "Macro-F1, %",
        "Difference, points",
        "p (paired t)",
        "p (Holm)",
        "Mean probe accuracy, %",
        "Steps/s",
        "FLOPs ×",
    ]
    assert baseline[0] == "Late fusion"
    assert baseline[3:6] == ["baseline", "—", "—"]
    assert masam[0] == "MASAM ρ=12"
    assert masam[3].startswith("+")
    assert masam[7:] == ["128", "1.00"]
    assert sam[3].startswith("−")
    assert "one training step, over the one of Late fusion." in page.text


def test_report_shows_what_the_main_table_leaves_out(page):
    headings, _, _, masam = page.tables[1]
    assert headings == [
        "Method",
        "p (Wilcoxon)",
        "Mean unimodal accuracy, %",
        "Fusion loss, nats",
        "Balanced accuracy, %",
        "Micro-F1, %",
        "Weighted F1, %",
        "FLOPs per step",
        "Seconds",
        "of these compiling",
    ]
    assert masam[7:] == ["2.50×10⁷", "12.3", "4.5"]


def test_report_explains_the_critical_difference(page):
    words = next(w for w in page.drawings if w.startswith("Mean ranks"))
    for part in ("Friedman's test", "Nemenyi's", "seeds of one data set, a weaker design"):
        assert part in words
        assert part in page.text


def test_report_shows_seeds_and_single_modalities(page):
    _, _, per_seed, _, probes, unimodal, _ = page.tables
    assert per_seed[0] == ["Seed", "Late fusion", "SAM ρ=0.5", "MASAM ρ=12"]
    assert len(per_seed) == 7
    for table in (probes, unimodal):
        assert table[0] == ["Method", "fou, %", "pix, %", "zer, %"]
    # Ten and five points below the fused accuracy, as the directory was made.
    assert probes[1][1] != unimodal[1][1]


def test_report_says_how_sure_the_differences_are(page):
    headings, sam, masam = page.tables[3]
    assert headings == [
        "Method",
        "Difference, points",
        "95 % interval",
        "Bootstrap interval",
        "Effect d_z",
        "Hedges' g",
        "p (equal)",
        "Seeds for a point",
    ]
    assert (sam[0], masam[0]) == ("SAM ρ=0.5", "MASAM ρ=12")
    assert masam[1] == page.tables[0][3][3]
    assert " to " in masam[2]
    assert " to " in masam[3]
    assert int(masam[7]) >= 2
    assert "equivalence within 1 point" in page.text


def test_more_methods_than_seeds_go_down_the_page(tmp_path):
    page = _read(write_report(write_comparison(tmp_path / "comparison", seeds=2)))
    per_seed = page.tables[2]
    assert per_seed[0] == ["Method", "seed 0", "seed 1"]
    assert [line[0] for line in per_seed[1:]] == ["Late fusion", "SAM ρ=0.5", "MASAM ρ=12"]
    accuracy = json.loads((tmp_path / "comparison" / "results.json").read_text())
    expected = [100 * a for a in accuracy["methods"][1]["test"]["accuracy"]]
    assert per_seed[2][1:] == [f"{value:.2f}" for value in expected]


def test_report_tells_how_to_reproduce(page):
    assert "masam compare --seeds 6 masam:rho=12,select=all" in page.text
    assert "Seeds: 0, 1, 2, 3, 4, 5." in page.text
    assert "packages.jax 0.10.2" in page.text
    assert "optimizer.learning_rate 0.005" in page.text
    assert "stratified by label" in page.text
    assert f"{5:064x}" in page.text


def test_report_leads_with_the_result(page):
    assert "MASAM ρ=12 has the highest test accuracy on mfeat" in page.text


def test_single_run_gives_a_report_without_comparisons(tmp_path):
    result = fake_result("masam", "MASAM", [0.9, 0.91])
    directory = write_run(tmp_path / "run", result, fake_metrics(result, traced=True))
    page = _read(write_report(directory))
    assert page.tables[0][0] == [
        "Method",
        "Test accuracy, %",
        "Macro-F1, %",
        "Mean probe accuracy, %",
        "Steps/s",
    ]
    assert "MASAM reached 90.50 ± 0.71 % test accuracy on mfeat over 2 seeds." in page.text
    assert "baseline" not in page.text


def test_one_seed_shows_dashes_and_never_nan(tmp_path):
    page = _read(write_report(write_comparison(tmp_path / "comparison", seeds=1)))
    assert "± —" in page.text
    assert not re.search(r"\bnan\b", page.text, flags=re.IGNORECASE)
    assert page.tables[0][2][4:6] == ["—", "—"]


def test_a_diverged_method_is_named(tmp_path):
    directory = write_comparison(tmp_path / "comparison", seeds=2)
    results = json.loads((directory / "results.json").read_text())
    results["methods"][1]["test"]["accuracy"][0] = None
    write_json(directory / "results.json", results)
    page = _read(write_report(directory))
    assert "so without a mean: SAM ρ=0.5." in page.text
    assert page.tables[2][2][1] == "—"


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "--><b>",
    "</style>",
    "{{ 7*7 }}",
    "' onclick='alert(1) $x_1$",
)


def test_names_of_methods_classes_and_modalities_are_escaped(tmp_path):
    methods = [(f"masam:alpha=0.{k}", name, 0.9, k == 1) for k, name in enumerate(HOSTILE, start=1)]
    modalities = HOSTILE[:2]
    directory = write_comparison(
        tmp_path / "comparison", seeds=3, methods=methods, modalities=modalities
    )
    write_counts(directory, len(HOSTILE), names=HOSTILE)
    html = write_report(directory).read_text(encoding="utf-8")
    page = _Page(html)
    assert html.count("<script") == html.count("</style") == 1
    assert "<img" not in html
    assert "<b>" not in html
    assert "<!--" not in html
    # Shown as they stand, as methods, modalities and classes.
    assert [line[0] for line in page.tables[0][1:]] == list(HOSTILE)
    probes = next(t for t in page.tables if t[0][1].endswith(">, %"))
    assert probes[0][1:] == [f"{m}, %" for m in sorted(modalities)]
    classes = [t for t in page.tables if t[0][0] == "Class"]
    assert [[line[0] for line in table[1:]] for table in classes] == [list(HOSTILE)] * 6
    matrices = [t for t in page.tables if t[0][0].startswith("true")]
    assert [table[0][1:] for table in matrices] == [list(HOSTILE)] * 6


def test_missing_surroundings_are_said_to_be_missing(tmp_path):
    directory = write_comparison(tmp_path / "comparison", seeds=2)
    for name in ("config.json", "environment.json", "splits.json"):
        (directory / name).unlink()
    page = _read(write_report(directory))
    assert "No config.json was recorded." in page.text
    assert "No environment.json was recorded." in page.text
    assert "the command itself was not recorded" in page.text


def test_sessions_that_resumed_are_folded(tmp_path):
    directory = write_comparison(tmp_path / "comparison", seeds=2)
    path = directory / "environment.json"
    environment = json.loads(path.read_text()) | {"resumed": [{"python": "3.12.1"}]}
    write_json(path, environment)
    html = write_report(directory).read_text(encoding="utf-8")
    folded = html[html.index("<summary>Sessions that went on with the run") :]
    assert html.count("resumed.0.python") == folded.partition("</details>")[0].count("3.12.1") == 1


def test_command_as_a_list_is_quoted_for_the_shell(tmp_path):
    directory = write_comparison(tmp_path / "comparison", seeds=2)
    write_json(directory / "environment.json", {"command": ["masam", "train", "my data"]})
    assert "masam train 'my data'" in _read(write_report(directory)).text


def test_a_report_that_fails_keeps_the_one_before(tmp_path):
    directory = write_comparison(tmp_path / "comparison", seeds=2)
    before = zlib.crc32(write_report(directory).read_bytes())
    (directory / "results.json").write_text("{")
    with pytest.raises(ValueError, match=r"results\.json is not valid JSON"):
        write_report(directory)
    assert zlib.crc32((directory / "report.html").read_bytes()) == before


def test_a_run_from_before_costs_were_recorded_still_reports(tmp_path):
    directory = write_comparison(tmp_path / "comparison", seeds=3)
    results = json.loads((directory / "results.json").read_text())
    for result in results["methods"]:
        del result["steps_per_second"], result["flops_per_step"]
    write_json(directory / "results.json", results)
    page = _read(write_report(directory))
    assert [line[7:] for line in page.tables[0][1:]] == [["—", "—"]] * 3
    save_tables(directory)
    assert ",,,12.3,4.5\n" in (directory / "table.csv").read_text(encoding="utf-8")


def test_tables_are_written_as_markdown_csv_and_latex(tmp_path):
    directory = write_comparison(tmp_path / "comparison", seeds=3)
    markdown, numbers, latex = save_tables(directory)
    assert (markdown.name, numbers.name, latex.name) == ("table.md", "table.csv", "table.tex")
    assert latex.read_text(encoding="utf-8").count(r"MASAM $\rho$=12") == 1
    text = markdown.read_text(encoding="utf-8")
    assert text.count("| MASAM ρ=12 |") == 3
    assert "Test accuracy of linear probes on the frozen encoders:" in text
    assert "Test accuracy of the unimodal heads:" in text
    assert len(numbers.read_text(encoding="utf-8").splitlines()) == 4


def test_settings_are_flattened_to_dotted_names():
    content = {"a": {"b": 1, "c": {"d": None}}, "e": [1, "x"], "f": [{"g": True}], "h": {}, "i": []}
    assert flatten(content) == {
        "a.b": "1",
        "a.c.d": "none",
        "e": "1, x",
        "f.0.g": "yes",
        "h": "none",
        "i": "none",
    }


@pytest.mark.parametrize("write", [save_tables, write_report])
def test_a_disk_that_is_full_leaves_what_was_there(tmp_path, monkeypatch, write):
    directory = write_comparison(tmp_path)
    write(directory)
    before = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(directory)
    assert {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()} == before
