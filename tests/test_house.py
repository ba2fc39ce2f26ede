"""Rules of the house that no linter knows, read off the syntax tree."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "masam_jax"

# A folder imports from itself and from those before it.
# The package's __init__ re-exports `sam`, so it counts as the last of what it may import.
LAYERS = (
    "core",
    "methods",
    "models",
    "data",
    "config",
    "training",
    "tuning",
    "predict",
    "analysis",
    "cli",
)
CORE_DEPENDENCIES = {"jax", "jaxlib", "optax", "chex", "numpy"}


def _layer(first: str) -> str:
    """The layer of a module, given by the first name after ``masam_jax.``."""
    if first == "__main__" or first.startswith("cli_"):
        return "cli"
    if first == "__init__":
        return "methods"
    return first


def _layer_of(path: Path) -> str:
    return _layer(path.relative_to(PACKAGE).with_suffix("").parts[0])


def _sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def _imported(path: Path) -> list[tuple[str, int]]:
    """Absolute names of the modules a file imports anywhere, and their lines."""
    package = path.relative_to(ROOT).with_suffix("").parts
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            # `from masam_jax import training` names a module as well.
            names += [(f"{module}.{alias.name}", node.lineno) for alias in node.names]
    return names


def _identifier(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", _sources(), ids=_identifier)
def test_imports_follow_the_order_of_the_folders(path):
    own = _layer_of(path)
    below = LAYERS[: LAYERS.index(own) + 1]
    for name, line in _imported(path):
        if not name.startswith("masam_jax."):
            continue
        other = _layer(name.split(".")[1])
        assert other in below, f"{_identifier(path)}:{line} ({own}) imports {name} ({other})"


@pytest.mark.parametrize(
    "path",
    [path for path in _sources() if _layer_of(path) in ("core", "methods")],
    ids=_identifier,
)
def test_core_and_methods_import_jax_optax_and_chex_alone(path):
    allowed = CORE_DEPENDENCIES | {"masam_jax"} | sys.stdlib_module_names
    for name, line in _imported(path):
        top = name.split(".")[0]
        assert top in allowed, f"{_identifier(path)}:{line} imports {name}"


@pytest.mark.parametrize(
    "path",
    [*_sources(), *sorted((ROOT / "experiments").rglob("*.py"))],
    ids=_identifier,
)
def test_tensorflow_is_never_imported(path):
    tensorflow = [line for name, line in _imported(path) if name.split(".")[0] == "tensorflow"]
    assert not tensorflow, f"{_identifier(path)} imports TensorFlow on lines {tensorflow}"
