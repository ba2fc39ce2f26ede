"""``docs/architecture.md`` names every module, and nothing that is not there."""

import ast
import functools
import re
from pathlib import Path

from tests.test_house import ORDER, PACKAGE, ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
# The tree is the page's only fenced block.
PROSE, TREE, REST = re.split(r"^```(?:text)?\n", PAGE, flags=re.MULTILINE)
SPANS = sorted(set(re.findall(r"`([^`\n]+)`", PROSE + REST)))

_PATH = re.compile(r"[.\w-]+(/[.\w-]+)*/?")


def _place(path: str) -> Path | None:
    """What a path of the page stands for: below the package, or below the root."""
    found = (base / path for base in (PACKAGE, ROOT))
    return next((place for place in found if place.exists()), None)


def _is_path(span: str) -> bool:
    is_file = span.endswith((".py", ".md")) or "/" in span
    return is_file and _PATH.fullmatch(span) is not None


PATHS = [span for span in SPANS if _is_path(span)]
NAMED = [span.split(": ") for span in SPANS if re.match(r"[\w/]+\.py: ", span)]


@functools.cache
def _names(path: Path) -> set[str]:
    """``name`` of what a module defines, and ``name.member`` of what its classes do."""

    def defined(body: list[ast.stmt]) -> set[str]:
        found = set()
        for node in body:
            if isinstance(node, ast.ClassDef):
                found |= {node.name, *(f"{node.name}.{name}" for name in defined(node.body))}
            elif isinstance(node, ast.FunctionDef):
                found.add(node.name)
            elif isinstance(node, ast.Assign):
                found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found.add(node.target.id)
        return found

    return defined(ast.parse(path.read_text(encoding="utf-8")).body)


def _files_of_the_tree() -> list[str]:
    """Paths, from the root, of the files and folders that begin the tree's lines."""
    folders: list[tuple[int, str]] = []
    found = []
    for line in TREE.splitlines():
        indent = len(line) - len(line.lstrip())
        while folders and folders[-1][0] >= indent:
            folders.pop()
        prefix = folders[-1][1] if folders else ""
        for word in line.split():
            if not re.fullmatch(r"\w+(/|\.py)", word):
                break
            found.append(prefix + word)
            if word.endswith("/"):
                folders.append((indent, prefix + word))
    return found


def _as_room(path: str) -> str:
    return path.rstrip("/").removesuffix(".py").replace("/", ".")


def test_the_paths_of_the_page_exist():
    """With a slash at the end of a folder, and none at that of a file."""
    places = {path: _place(path) for path in PATHS}
    absent = [path for path, place in places.items() if place is None]
    assert not absent, f"neither below masam_jax/ nor below the root: {absent}"
    wrong = [path for path, place in places.items() if place.is_dir() != path.endswith("/")]
    assert not wrong


def test_the_names_of_the_page_are_defined_where_it_says():
    absent = [
        f"{path}: {name}"
        for path, names in NAMED
        for name in names.split(", ")
        if (place := _place(path)) is None or name not in _names(place)
    ]
    assert not absent, "\n".join(absent)


def test_there_are_paths_and_names():
    assert len(PATHS) > 50
    assert len(NAMED) > 50


def test_the_tree_names_every_module_once():
    named = [name for name in _files_of_the_tree() if name.endswith(".py")]
    assert len(named) == len(set(named))
    there = {path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*.py")}
    # What a folder is stands at the folder's own name.
    there = {path for path in there if not path.endswith("/__init__.py")}
    assert set(named) - {"masam_jax/__init__.py"} == there


def test_the_tree_names_every_folder():
    named = {name for name in _files_of_the_tree() if name.endswith("/")}
    folders = {path for path in PACKAGE.rglob("*") if path.is_dir() and path.name[0] not in "_."}
    assert named == {f"{path.relative_to(ROOT).as_posix()}/" for path in {PACKAGE, *folders}}


def test_the_order_of_imports_is_the_enforced_one():
    rows = re.findall(r"^\| (\d+) \| (`[^|]+`) \|", PROSE, flags=re.MULTILINE)
    assert [int(number) for number, _ in rows] == [*range(1, len(ORDER) + 1)]
    stated = tuple(tuple(map(_as_room, re.findall(r"`([^`]+)`", rooms))) for _, rooms in rows)
    assert stated == ORDER
    words = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (sentence,) = re.findall(r"A folder imports from .+? before it in (.+?)\. ", words, re.DOTALL)
    rooms = [re.findall(r"`([^`]+)`", part) for part in sentence.split(";")]
    assert tuple(tuple(map(_as_room, part)) for part in rooms) == ORDER


def test_links_within_the_page_have_their_headings():
    headings = re.findall(r"^#+ (.+)$", PROSE + REST, flags=re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= anchors
