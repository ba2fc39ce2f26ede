"""The wheel, the version, and the public API's documentation."""

import importlib
import inspect
import pkgutil
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import masam_jax

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    """A wheel of the sources, built away from them: a build writes into its tree."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    shutil.copytree(
        ROOT / "masam_jax", source / "masam_jax", ignore=shutil.ignore_patterns("__pycache__")
    )
    destination = tmp_path_factory.mktemp("wheel")
    command = ["-m", "build", "--wheel", "--no-isolation", "--outdir", str(destination)]
    done = subprocess.run(
        [sys.executable, *command, str(source)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = destination.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def _public_modules() -> list[str]:
    found = pkgutil.walk_packages(masam_jax.__path__, "masam_jax.")
    names = [module.name for module in found]
    return ["masam_jax", *(n for n in names if not re.search(r"\._|\.__main__$", n))]


def test_wheel_carries_every_package_file(wheel):
    packaged = set(wheel.namelist())
    sources = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "masam_jax").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert sources <= packaged, sorted(sources - packaged)
    shipped = {f"masam_jax/data/files/{name}.npz" for name in ("av_mnist", "leaves100", "mfeat")}
    assert {"masam_jax/py.typed", *shipped} <= packaged
    assert any(re.fullmatch(r"masam_jax/analysis/templates/.+", name) for name in packaged)


def test_wheel_holds_the_library_alone(wheel):
    top_level = {name.partition("/")[0] for name in wheel.namelist()}
    assert top_level == {"masam_jax", f"masam_jax-{masam_jax.__version__}.dist-info"}


def test_wheel_declares_script_and_licence(wheel):
    info = f"masam_jax-{masam_jax.__version__}.dist-info"
    assert "masam = masam_jax.__main__:main" in wheel.read(f"{info}/entry_points.txt").decode()
    assert "License-Expression: Apache-2.0" in wheel.read(f"{info}/METADATA").decode()
    assert f"{info}/licenses/LICENSE" in wheel.namelist()


def test_version_is_the_same_everywhere(project):
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## \[(\d[^\]]*)\]", changelog, flags=re.MULTILINE)
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    (cited,) = re.findall(r"^version: (.+)$", citation, flags=re.MULTILINE)
    assert masam_jax.__version__ == project["version"] == released[0] == cited


def test_core_depends_on_jax_optax_chex_and_numpy_alone(project):
    names = {re.split(r"[<>=!~\[ ]", entry)[0] for entry in project["dependencies"]}
    assert names == {"jax", "jaxlib", "optax", "chex", "numpy"}


def test_console_script_points_at_a_function(project):
    module, _, name = project["scripts"]["masam"].partition(":")
    assert callable(getattr(importlib.import_module(module), name))


@pytest.mark.parametrize("name", _public_modules())
def test_module_is_documented(name):
    module = importlib.import_module(name)
    assert (module.__doc__ or "").strip(), f"{name} has no docstring"
    for member_name in getattr(module, "__all__", ()):
        member = getattr(module, member_name)
        if inspect.isfunction(member) or inspect.isclass(member):
            text = inspect.getdoc(member) or ""
            # A NamedTuple without a docstring gets its signature as one.
            assert text, f"{name}.{member_name} has no docstring"
            assert not text.startswith(f"{member_name}("), f"{name}.{member_name} lacks a docstring"
