import re

import pytest
from matplotlib.mathtext import MathTextParser

from masam_jax.analysis.latex import escape, to_latex
from masam_jax.analysis.tables import comparison_table
from tests.analysis.fake_directories import ZOO, fake_result

BASELINE = [0.93, 0.92, 0.94, 0.91, 0.925]


def _table(*methods):
    results = {"baseline": methods[0]["spec"], "methods": list(methods)}
    return to_latex(comparison_table(results))


def _body(text):
    """Cells of the lines between the rules."""
    body = text.partition("\\midrule\n")[2].partition("\\bottomrule")[0]
    return [line.removesuffix(" \\\\").split(" & ") for line in body.splitlines()]


def _shifted(*thousandths):
    return [a + t / 1000 for a, t in zip(BASELINE, thousandths, strict=True)]


@pytest.fixture
def table():
    return _table(
        fake_result("base", "Late fusion", BASELINE),
        fake_result("masam", "MASAM ρ=12", _shifted(10, 11, 9, 12, 10)),
        fake_result("luck", "50 % & more_luck", _shifted(10, -8, 9, -7, 3)),
        fake_result("worse", "Worse", _shifted(-10, -11, -9, -12, -10)),
    )


def test_best_is_bold_and_significance_has_a_dagger(table):
    base, masam, luck, worse = _body(table)
    assert base[1] == r"$92.50 \pm 1.12$"
    assert masam[1] == r"$\mathbf{93.54} \pm 1.01$\rlap{$^{\dagger}$}"
    assert "dagger" not in luck[1]
    assert "dagger" in worse[1], "a significant loss is significant"
    assert [r"\mathbf" in line[2] for line in (base, masam, luck, worse)] == [0, 1, 0, 0]
    assert base[3] == "baseline"
    assert masam[3] == "+1.04"
    assert worse[3] == "$-$1.04"


def test_tabular_is_whole_and_its_math_parses(table):
    zoo = _table(*(fake_result(s, t, [a, a + 0.004, a - 0.003]) for s, t, a, _ in ZOO))
    parser = MathTextParser("path")
    for text in (table, zoo):
        columns = re.search(r"\\begin\{tabular\}\{(l r*|lr*)\}", text)[1]
        lines = [line for line in text.splitlines() if line.endswith(r"\\")]
        assert {len(re.findall(r"(?<!\\)&", line)) for line in lines} == {len(columns) - 1}
        for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"\end{tabular}"):
            assert text.count(rule) == 1
        plain = re.sub(r"\\[{}]", "", text)
        assert plain.count("{") == plain.count("}")
        for math in re.findall(r"(?<!\\)\$[^$]+\$", re.sub("^%.*\n", "", text, flags=re.M)):
            parser.parse(math)
        assert not re.search(r"[αβγρμ−×±]", text)


def test_comments_say_what_a_caption_must(table):
    notes = [line for line in table.splitlines() if line.startswith("%")]
    assert any("booktabs" in note for note in notes)
    assert any("over 5 seeds" in note for note in notes)
    assert any("Holm's correction for 3 comparisons" in note for note in notes)


@pytest.mark.parametrize(
    "text,latex",
    [
        ("a_b #1 {x} $5 ~^", r"a\_b \#1 \{x\} \$5 \textasciitilde{}\textasciicircum{}"),
        ("\\input{x}", r"\textbackslash{}input\{x\}"),
        ("<10⁻³⁰⁰", r"\textless{}10$^{-300}$"),
        ("ρ·γ ≤ 2×10⁴", r"$\rho$$\cdot$$\gamma$ $\leq$ 2$\times$10$^{4}$"),
        ("two\n\tlines", "two lines"),
        ("Demšar — é", "Demšar --- é"),
    ],
)
def test_text_prints_as_it_stands(text, latex):
    assert escape(text) == latex


def test_a_title_stays_in_its_cell(table):
    assert _body(table)[2][0] == r"50 \% \& more\_luck"


def test_ties_are_all_bold():
    one, other = _body(_table(fake_result("a", "A", BASELINE), fake_result("b", "B", BASELINE)))
    assert r"\mathbf{92.50}" in one[1]
    assert r"\mathbf{92.50}" in other[1]
    assert "dagger" not in other[1]


def test_one_method_and_one_seed():
    text = to_latex(comparison_table(fake_result("a", "A", [0.9])))
    assert _body(text) == [["A", "$90.00$", "$89.90$", "$80.00$", "128"]]
    assert "Dagger" not in text
    assert "one seed" in text
    assert to_latex([]) == ""


def test_a_diverged_method_is_a_dash():
    diverged = fake_result("b", "B", [0.9, 0.9])
    diverged["test"]["accuracy"] = [None, 0.9]
    cells = _body(_table(fake_result("a", "A", [0.9, 0.8]), diverged))[1]
    assert cells[1] == cells[3] == cells[4] == "---"
