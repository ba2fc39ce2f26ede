"""Every method names its paper, in the same words in its docstring and in ``docs/methods.md``."""

import ast
import re
from pathlib import Path

import pytest

import masam_jax
from masam_jax.methods import get_method, method_names

PACKAGE = Path(masam_jax.__file__).parent
PAGE = (PACKAGE.parent / "docs" / "methods.md").read_text(encoding="utf-8")
# Of no paper of their own.
WITHOUT_PAPER = {"concat", "fusion_only", "late_fusion", "recommended", "sum", "unimodal"}
# What a method is made of, where that is not in its own file.
ELSEWHERE = {
    "film": "models/film_fusion.py",
    "gated": "models/gated_fusion.py",
    "masam": "core/masam.py",
}


def _references(name: str) -> str:
    """What the docstrings of a method's file give below ``References:``, as one line."""
    module = get_method(name).options.__module__
    place = ELSEWHERE.get(name) or module.removeprefix("masam_jax.").replace(".", "/") + ".py"
    found = []
    for node in ast.walk(ast.parse((PACKAGE / place).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            text = ast.get_docstring(node) or ""
            found += re.findall(r"^References:\n((?:  .*\n?)+)", text, flags=re.MULTILINE)
    return " ".join(" ".join(found).split())


def _rows() -> dict[str, str]:
    """Method -> the column ``paper`` of the page's first table."""
    table = PAGE.split("| method | parts | paper |")[1].split("\n\n")[0]
    rows = [line.split(" | ") for line in table.splitlines()[2:]]
    return {name: row[2] for row in rows for name in re.findall(r"`(\w+)`", row[0])}


def _papers() -> dict[str, str]:
    """Method -> authors, title, venue and year, as one line."""
    section = PAGE.split("## The papers\n")[1].split("\n## ")[0]
    entries = re.findall(r"^- `(\w+)`: (.+(?:\n  .+)*)", section, flags=re.MULTILINE)
    return {name: " ".join(text.split()).removesuffix(".") for name, text in entries}


def test_every_method_has_a_row():
    assert set(_rows()) == set(method_names())


def test_every_paper_is_of_a_method():
    assert set(_papers()) == set(method_names()) - WITHOUT_PAPER


@pytest.mark.parametrize("name", sorted(set(method_names()) - WITHOUT_PAPER))
def test_the_page_and_the_docstring_give_one_paper(name):
    references, paper = _references(name), _papers()[name]
    assert references.startswith(paper)
    cite, link = re.fullmatch(r"\[(.+)\]\((https://.+)\)", _rows()[name]).groups()
    assert link in references.split()
    author, venue = re.match(r"(\w+).*, (\w+ \d{4})$", cite).groups()
    assert paper.endswith((f". {venue}", f"? {venue}"))
    assert author in paper.split(",")[0].split()


@pytest.mark.parametrize("name", sorted(WITHOUT_PAPER))
def test_the_others_have_none(name):
    assert name in method_names()
    assert _rows()[name] == "–"
