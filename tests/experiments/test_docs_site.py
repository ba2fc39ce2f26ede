"""Links between the root and docs/, and formulas, as the site has them."""

import pytest

pytest.importorskip("mkdocs", reason="the extra docs is not installed: make docs")
pytest.importorskip("latex2mathml")

from experiments.docs_site import formulas_as_mathml, site_links


@pytest.mark.parametrize(
    "source, link, expected",
    [
        ("README.md", "[a](docs/faq.md#batch-norm)", "[a](faq.md#batch-norm)"),
        ("README.md", "![a](docs/assets/a.png)", "![a](assets/a.png)"),
        ("README.md", "[a](CONTRIBUTING.md)", "[a](contributing.md)"),
        ("CONTRIBUTING.md", "[a](LICENSE)", "a"),
        ("docs/faq.md", "[a](../README.md)", "[a](index.md)"),
        ("docs/faq.md", "[a](methods.md#sam)", "[a](methods.md#sam)"),
        ("docs/api/core.md", "[a](../optax.md)", "[a](../optax.md)"),
        ("docs/api/core.md", "[a](../../CONTRIBUTING.md#x)", "[a](../contributing.md#x)"),
        ("docs/faq.md", "[a](https://example.org/docs/b.md)", "[a](https://example.org/docs/b.md)"),
        ("docs/faq.md", "[a](#here)", "[a](#here)"),
    ],
)
def test_links_lead_to_pages_of_the_site(source, link, expected):
    assert site_links(f"See {link}.", source) == f"See {expected}."


@pytest.mark.parametrize(
    "code", ["`nets[0](x)`", "    y = nets[0](x)", "```python\ny = nets[0](x)\n```"]
)
def test_code_that_looks_like_a_link_stays(code):
    assert site_links(f"a\n\n{code}\n\nb", "docs/faq.md") == f"a\n\n{code}\n\nb"


def test_a_formula_becomes_mathml():
    text = r'<p>a <span class="arithmatex">\(\theta_m &lt; 1\)</span></p>'
    found = formulas_as_mathml(text)
    assert found.startswith("<p>a <math")
    assert 'display="inline"' in found
    assert "arithmatex" not in found
    assert "\\" not in found


def test_equations_below_each_other_are_a_table():
    latex = r"\begin{aligned} a &amp;= b \\ c &amp;= \arg\max_m d \end{aligned}"
    found = formulas_as_mathml(rf'<div class="arithmatex">\[{latex}\]</div>')
    assert 'display="block"' in found
    assert found.count("<mtr>") == 2
    assert "\\" not in found


def test_an_unknown_command_is_complained_of(caplog):
    formulas_as_mathml(r'<span class="arithmatex">\(\nosuchcommand x\)</span>')
    assert "unknown" in caplog.text
