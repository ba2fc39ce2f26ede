import errno
import json
import os
import re
import zlib
from base64 import b64decode
from html.parser import HTMLParser

import pytest

from masam_jax.analysis.report import flatten, save_tables, write_report
from tests.analysis.fake_directories import (
    fake_metrics,
    fake_result,
    write_comparison,
    write_json,
    write_run,
)

VOID = {"meta", "link", "img", "br", "hr", "input", "wbr"}


class _Page(HTMLParser):
    """Text, tables, images and addresses of a page; checks that its tags are balanced."""

    def __init__(self, text):
        super().__init__()
        self.open, self.words, self.addresses, self.images, self.tables = [], [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.addresses += [values[a] for a in ("src", "href", "srcset", "action") if a in values]
        if tag == "img":
            self.images.append(values)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)
        if self.open and self.open[-1] in ("td", "th"):
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
    assert not re.search(r"url\(|@import|https?://|<script", html)
    assert not list(comparison.glob("*.tmp"))


def test_report_embeds_the_plots_that_it_writes(comparison, page):
    written = {path.read_bytes() for path in (comparison / "plots").glob("*.png")}
    embedded = [b64decode(image["src"].partition(",")[2]) for image in page.images]
    assert set(embedded) == written
    assert len(embedded) == 8
    for image in page.images:
        assert len(image["alt"]) > 20
        assert int(image["width"]) == 990


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
        "FLOPs per step",
        "Seconds",
        "of these compiling",
    ]
    assert masam[4:] == ["2.50×10⁷", "12.3", "4.5"]


def test_report_explains_the_critical_difference(page):
    image = next(i for i in page.images if i["alt"].startswith("Mean ranks"))
    for words in ("Friedman's test", "Nemenyi's", "seeds of one data set, a weaker design"):
        assert words in image["alt"]
        assert words in page.text


def test_report_shows_seeds_and_single_modalities(page):
    _, _, per_seed, probes, unimodal = page.tables
    assert per_seed[0] == ["Seed", "Late fusion", "SAM ρ=0.5", "MASAM ρ=12"]
    assert len(per_seed) == 7
    for table in (probes, unimodal):
        assert table[0] == ["Method", "fou, %", "pix, %", "zer, %"]
    # Ten and five points below the fused accuracy, as the directory was made.
    assert probes[1][1] != unimodal[1][1]


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


def test_text_is_escaped(tmp_path):
    result = fake_result("masam", "<script>alert(1)</script> & $x$", [0.9, 0.91])
    directory = write_run(tmp_path / "run", result, fake_metrics(result, traced=True))
    html = write_report(directory).read_text(encoding="utf-8")
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; $x$" in html


def test_missing_surroundings_are_said_to_be_missing(tmp_path):
    directory = write_comparison(tmp_path / "comparison", seeds=2)
    for name in ("config.json", "environment.json", "splits.json"):
        (directory / name).unlink()
    page = _read(write_report(directory))
    assert "No config.json was recorded." in page.text
    assert "No environment.json was recorded." in page.text
    assert "the command itself was not recorded" in page.text


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
