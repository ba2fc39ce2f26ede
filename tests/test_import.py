"""Importing the library needs jax, optax, chex and numpy alone."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from masam_jax.core.extras import needs

OPTIONAL = (
    "array_record",
    "equinox",
    "flax",
    "grain",
    "jinja2",
    "matfree",
    "matplotlib",
    "optuna",
    "orbax",
    "ray",
    "rich",
    "scipy.optimize",
    "sklearn",
    "tensorboardX",
    "tensorflow",
    "tensorflow_datasets",
    "tyro",
)


def _modules_after(code: str) -> set[str]:
    """The names in ``sys.modules`` of a fresh interpreter that ran ``code``."""
    program = f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def added_modules() -> set[str]:
    """What ``import masam_jax`` loads beyond its dependencies."""
    dependencies = _modules_after("import jax, optax, chex")
    return _modules_after("import jax, optax, chex, masam_jax") - dependencies


def test_import_adds_no_optional_dependency(added_modules):
    loaded = [name for name in OPTIONAL if name in added_modules]
    assert not loaded, f"import masam_jax loads {loaded}, which only its extras install"


def test_import_adds_no_third_party_package(added_modules):
    """Names that pip installed, so that a dependency not listed above is seen as well."""
    program = (
        "import json, sys, importlib.metadata as metadata\n"
        "print(json.dumps(sorted(metadata.packages_distributions())))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    allowed = {"jax", "jaxlib", "optax", "chex", "masam_jax"}
    installed = set(json.loads(done.stdout)) - allowed
    extra = sorted({name.partition(".")[0] for name in added_modules} & installed)
    # jax loads its own dependencies lazily.
    lazily_by_jax = {"numpy", "scipy", "ml_dtypes", "opt_einsum"}
    assert not set(extra) - lazily_by_jax


def test_folders_with_extras_stay_unloaded(added_modules):
    heavy = ("models", "data", "config", "training", "tuning", "predict", "analysis")
    heavy += ("diagnosis", "api", "cli")
    loaded = [name for name in heavy if f"masam_jax.{name}" in added_modules]
    assert not loaded


def test_the_public_names_are_those_of_all():
    """In a fresh interpreter: folders that others imported would be attributes of the package."""
    program = (
        "import json, masam_jax, masam_jax.training\n"
        "public = [name for name in dir(masam_jax) if not name.startswith('_')]\n"
        "print(json.dumps([public, [*masam_jax.__all__, *masam_jax._LAZY]]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    public, declared = json.loads(done.stdout.splitlines()[-1])
    assert public == sorted(declared)


@pytest.mark.parametrize("blocked", ["", "sys.modules['tyro'] = None\n"])
def test_the_version_is_told(blocked):
    """Also on a plain install; it is the one that the package was built as."""
    program = (
        f"import sys\n{blocked}sys.argv = ['masam', '--version']\n"
        "from masam_jax.__main__ import main\nsys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    root = Path(__file__).parents[1]
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    assert (done.returncode, done.stdout, done.stderr) == (0, f"masam_jax {version}\n", "")


def test_the_command_line_without_its_packages_says_what_to_install():
    """In an interpreter of its own: other tests of this process have imported the packages."""
    program = (
        "import sys\nsys.modules['tyro'] = None\n"
        "from masam_jax.__main__ import main\nsys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == (
        "masam: the command line needs the package tyro: pip install '.[train,analysis]' in a"
        " clone of masam_jax, which is on no package index yet\n"
    )


@pytest.mark.parametrize(
    "module, room, package, extras",
    [
        ("predict", "predict", "orbax", "train"),
        ("data", "data", "grain", "train"),
        ("models", "models", "flax", "train"),
        ("training.run", "data", "grain", "train"),
        ("analysis", "analysis", "matplotlib", "train,analysis"),
        ("analysis.tables", "analysis", "scipy", "train,analysis"),
        ("diagnosis", "diagnosis", "orbax", "train,analysis"),
        ("tuning.tune", "tuning", "optuna", "train,tune"),
        ("data.builders.crema_d", "data.builders", "tensorflow_datasets", "data"),
        ("data.builders.stored_images", "data.builders", "tensorflow_datasets", "data"),
    ],
)
def test_a_room_without_its_packages_says_what_to_install(module, room, package, extras):
    """In an interpreter of its own, in which the package is not there."""
    program = f"import sys\nsys.modules[{package!r}] = None\nimport masam_jax.{module}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == (
        f"ModuleNotFoundError: masam_jax.{room} needs the package {package}:"
        f" pip install '.[{extras}]' in a clone of masam_jax, which is on no package index yet"
    )


def test_comparing_needs_the_packages_of_train_and_analysis_alone():
    """Methods of a tuning are read from its file, without the package that searched for them."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    extras = {
        name: {re.split(r"[>\[]", line)[0].replace("-", "_") for line in lines}
        for name, lines in project["optional-dependencies"].items()
    }
    others = extras["tune"] | extras["data"] | extras["weights"]
    brought_by_them = {"array_record", "importlib_resources", "pillow"}  # of Grain, Matplotlib
    blocked = sorted(others - extras["train"] - extras["analysis"] - brought_by_them)
    assert {"optuna", "sqlalchemy", "pyarrow", "safetensors"} <= set(blocked)
    program = (
        f"import sys\nfor name in {blocked}: sys.modules[name] = None\n"
        "import masam_jax.cli.command_line, masam_jax.api.method_list, masam_jax.cli.train"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_innermost_room_says_what_to_install():
    """The command line as a whole needs other extras than a column of text."""
    with (
        pytest.raises(ModuleNotFoundError, match=r"columns of text needs .*'\.\[data\]'"),
        needs("this", "train", "analysis"),
        needs("columns of text", "data"),
    ):
        raise ModuleNotFoundError("No module named 'tokenizers'", name="tokenizers")


def test_hints_name_extras_that_there_are():
    """And the way to have them is the one that README.md gives."""
    root = Path(__file__).parents[1]
    extras = tomllib.loads((root / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    named = set()
    for path in (root / "masam_jax").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
                words = [x.value for x in call.args if isinstance(x, ast.Constant)]
                named |= set(words[1:] if call.func.id == "needs" else ())
                named |= set(words if call.func.id == "install_extras" else ())
        assert "pip install 'masam_jax[" not in path.read_text(), path
    assert {"train", "analysis", "data", "tune", "weights"} <= named <= set(extras)
    assert "`pip install '.[train,analysis]'`" in (root / "README.md").read_text()
