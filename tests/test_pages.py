"""What users read: README.md and the pages of docs/, their links, commands and API reference."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

import masam_jax
from masam_jax.cli.words import parse
from masam_jax.config.errors import RunError

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
ROOT_PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES = [*ROOT_PAGES, *sorted(DOCS.rglob("*.md"))]
# Whose names in ``__all__`` are documented, each on a page of docs/api/.
PUBLIC = (
    "masam_jax",
    "masam_jax.api",
    "masam_jax.data",
    "masam_jax.diagnosis",
    "masam_jax.export",
    "masam_jax.geometry",
    "masam_jax.methods",
    "masam_jax.models",
    "masam_jax.predict",
    "masam_jax.training",
)


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _prose(page: Path) -> str:
    """The text without its fenced blocks."""
    text = page.read_text(encoding="utf-8")
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def test_the_readme_is_short():
    """A question more is a link more; what answers it is a page of docs/."""
    assert (ROOT / "README.md").stat().st_size <= 8000


def test_every_page_is_in_the_navigation_of_the_site():
    lines = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").splitlines()
    listed = {found[1] for line in lines if (found := re.match(r"\s*- [^#]+: (\S+\.md)$", line))}
    pages = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    assert pages | {"index.md", "contributing.md", "changelog.md"} == listed


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_to_files(page):
    targets = re.findall(r"\]\((?!https?://|#|mailto:)([^)#\s]+)[^)]*\)", _prose(page))
    assert not [target for target in targets if not (page.parent / target).exists()]


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_anchors_lead_to_headings(page):
    """Of pages in this repository; those of the API reference are made by the site."""
    text = _prose(page)
    lost = []
    for target, anchor in re.findall(r"\]\((?!https?://)([^)#\s]*)#([^)\s]+)\)", text):
        other = page.parent / target if target else page
        if anchor.startswith("masam_jax.") or other.suffix != ".md":
            continue
        if anchor not in _anchors(_prose(other)):
            lost.append(f"{target}#{anchor}")
    assert not lost


def _anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", words.lower()).replace(" ", "-") for words in headings}


def _commands(page: Path) -> list[str]:
    """Lines of code that call ``masam``, whole: without comments, and without ``...``."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = re.findall(r"^    (masam .+)$", text, flags=re.MULTILINE)
    commands = [re.sub(r"\s+#.*", "", line) for line in lines]
    return [line for line in commands if not re.search(r"\.\.\.|\b[A-Z]{2,}\b", line)]


@pytest.mark.parametrize("page", [page for page in PAGES if _commands(page)], ids=_name)
def test_commands_are_understood(page, tmp_path, monkeypatch):
    """Their words; data and runs that they name need not be there. Of errors, shown as examples."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.toml").touch()
    for line in _commands(page):
        words = shlex.split(line)[1:]
        if words[0].endswith(":"):
            continue
        try:
            parse(words)
        except RunError as error:
            if str(error) != "runs/mine is no directory; expected a run directory":
                raise


@pytest.mark.parametrize("package", PUBLIC)
def test_every_public_name_has_its_place_in_the_reference(package):
    found = re.findall(
        r"^::: ([\w.]+)$",
        "\n".join(page.read_text("utf-8") for page in (DOCS / "api").glob("*.md")),
        flags=re.MULTILINE,
    )
    assert len(found) == len(set(found)), "a name has two places"
    documented = [_object(name) for name in found]
    module = importlib.import_module(package)
    # Of the package, also what is imported when first used.
    names = {*module.__all__, *dir(masam_jax)} if module is masam_jax else module.__all__
    absent = [
        name
        for name in sorted(set(names) - {"__version__"})
        if not any(getattr(module, name) is each for each in documented)
    ]
    assert not absent, f"docs/api/ has no ':::' line for {package}: {absent}"


def _object(path: str) -> object:
    """What a line of the reference names; raises where it names nothing."""
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        module, _, name = path.rpartition(".")
        return getattr(importlib.import_module(module), name)
