"""Rules of the house that no linter knows, read off the syntax tree."""

import ast
import collections
import functools
import graphlib
import importlib
import sys
import types
from pathlib import Path

from tests.slow_files import SLOW_FILES

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "masam_jax"

# A room imports from itself and from those of earlier lines; rooms of one line do not import each
# other. `docs/architecture.md` says why.
ORDER = (
    ("core",),
    ("methods", "models", "data", "config"),
    ("training.storage",),
    ("training",),
    ("tuning", "geometry"),
    ("predict", "analysis"),
    ("diagnosis", "export"),
    ("api",),
    ("cli",),
)
FLOOR = {room: floor for floor, rooms in enumerate(ORDER) for room in rooms}
# Folders of tests that stand for no folder of the package.
OTHER_TESTS = {
    "chaos": "what kills and damaged files must not harm",
    "contract": "what every method keeps to, of whatever room it is",
    "experiments": "of experiments/, beside the package",
    "mutants": "changes of the library that a test must notice",
    "models/torch_outputs": "recorded outputs of PyTorch, and what recorded them",
}
# What `pip install masam_jax` brings, and so what the core and the methods may import.
CORE_DEPENDENCIES = {"jax", "jaxlib", "optax", "chex", "numpy"}


@functools.cache
def modules() -> dict[str, Path]:
    """Every module of the package, by its dotted name."""
    paths = sorted(PACKAGE.rglob("*.py"))
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in paths
    }


@functools.cache
def imports(path: Path) -> tuple[tuple[str, int], ...]:
    """Absolute names of what a file imports anywhere, and their lines."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: imports are absolute here"
            # `from masam_jax import training` names a module as well.
            found += [(f"{node.module}.{alias.name}", node.lineno) for alias in node.names]
    return tuple(found)


def imported_module(name: str) -> str:
    """The module that an imported name is, or is part of."""
    while name not in modules():
        name = name.rpartition(".")[0]
    return name


def room(module: str) -> str:
    """The room of a module; the package itself re-exports what core and methods define."""
    parts = module.split(".")[1:] or ["methods"]
    if parts[:2] == ["training", "storage"]:
        return "training.storage"
    return "cli" if parts[0] == "__main__" else parts[0]


def own_imports(module: str) -> list[tuple[str, int]]:
    """What a module imports of the package, but for what the package itself does on first use."""
    names = [(n, line) for n, line in imports(modules()[module]) if n.split(".")[0] == "masam_jax"]
    found = [(imported_module(name), line) for name, line in names]
    # Named there for who checks types.
    return [each for each in found if (module, each[0]) != ("masam_jax", "masam_jax.api")]


def test_every_room_has_its_place():
    rooms = {path.stem for path in PACKAGE.iterdir() if not path.name.startswith(("_", "."))}
    rooms -= {"py"}
    assert rooms == {name.split(".")[0] for name in FLOOR}


def test_rooms_import_from_rooms_below():
    against = []
    for module in modules():
        own = room(module)
        for other, line in own_imports(module):
            below = room(other) == own or FLOOR[room(other)] < FLOOR[own]
            if not below:
                against.append(f"{module}:{line} ({own}) imports {other} ({room(other)})")
    assert not against, "\n".join(against)


def test_no_module_imports_itself_through_others():
    graph = {module: {m for m, _ in own_imports(module)} - {module} for module in modules()}
    assert not _cycle(graph), f"a cycle of imports: {' <- '.join(_cycle(graph))}"
    # What finds no cycle has to be able to find one.
    assert _cycle({"a": {"b"}, "b": {"a"}})


def _cycle(graph: dict[str, set[str]]) -> list[str]:
    """The nodes of one cycle, none where there is no cycle."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def test_core_and_methods_import_their_dependencies_alone():
    allowed = CORE_DEPENDENCIES | {"masam_jax"} | sys.stdlib_module_names
    foreign = [
        f"{module}:{line} imports {name}"
        for module, path in modules().items()
        if room(module) in ("core", "methods")
        for name, line in imports(path)
        if name.split(".")[0] not in allowed
    ]
    assert not foreign, "\n".join(foreign)


def test_tensorflow_is_never_imported():
    paths = [path for folder in ("masam_jax", "experiments", "tests") for path in _python(folder)]
    found = [
        f"{path}:{line}"
        for path in paths
        for name, line in imports(path)
        if name.split(".")[0] == "tensorflow"
    ]
    assert not found, "\n".join(found)


def _python(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def test_no_module_is_shadowed():
    """``import masam_jax.x`` gives a module, whatever its package re-exports."""
    shadowed = []
    for module in modules():
        parent, _, leaf = module.rpartition(".")
        if not parent or leaf == "__main__":
            continue
        importlib.import_module(module)
        found = getattr(sys.modules[parent], leaf)
        if not isinstance(found, types.ModuleType):
            shadowed.append(f"{module} is a {type(found).__name__} of that name")
    assert not shadowed, "\n".join(shadowed)


def test_no_two_public_things_have_one_name():
    places = collections.defaultdict(list)
    for module, path in modules().items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                places[node.name].append(module)
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in targets:
                    if isinstance(target, ast.Name):
                        places[target.id].append(module)
    twice = [
        f"{name}: {', '.join(found)}"
        for name, found in sorted(places.items())
        if len(found) > 1 and not name.startswith("_") and name != "main"
    ]
    assert not twice, "\n".join(twice)


def test_folders_of_tests_mirror_the_package():
    tests = ROOT / "tests"
    # Of files, since git leaves folders behind in which something else once lay.
    folders = {str(path.parent.relative_to(tests)) for path in _python("tests")}
    assert set(OTHER_TESTS) <= folders
    strange = [f for f in folders - set(OTHER_TESTS) if not (PACKAGE / f / "__init__.py").is_file()]
    assert not strange, f"tests/ has {sorted(strange)}, masam_jax/ has not"


def test_tests_of_a_module_are_where_the_module_is():
    """A file of tests that bears a module's name is in the folder of a module of that name."""
    places = collections.defaultdict(set)
    for path in PACKAGE.rglob("*.py"):
        places[path.stem].add(str(path.relative_to(PACKAGE).parent))
    astray = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        here = str(path.relative_to(ROOT / "tests").parent)
        there = places.get(path.stem.removeprefix("test_"))
        if there and here not in there:
            astray.append(f"{path.relative_to(ROOT)}: the module is in {sorted(there)}")
    assert not astray, "\n".join(astray)


def test_slow_files_are_there():
    absent = [name for name in SLOW_FILES if not (ROOT / "tests" / name).is_file()]
    assert not absent
