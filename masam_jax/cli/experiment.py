"""What ``masam experiment`` does: it finds ``experiments/``, which is beside the package."""

import importlib
import shlex
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

import masam_jax
from masam_jax.cli.commands import ConductExperiment
from masam_jax.cli.printing import print_plain
from masam_jax.config.errors import RunError
from masam_jax.training.interrupt import InterruptRequest

_PACKAGE, _ALL = "experiments", "all"


def execute_experiment(
    command: ConductExperiment,
    console: Console,
    line: list[str],
    interrupt: InterruptRequest | None = None,
) -> None:
    """Conducts an experiment, or all of them one after the other; without a name, lists them.

    Args:
      command: what was asked for.
      console: for what it says.
      line: the command line.
      interrupt: asked between steps whether to stop.

    Raises:
      RunError: no experiment has that name, the package was installed without its repository, or
        as `masam_jax.cli.train.execute_train`.
      InterruptedRun: a signal came; every step that was taken is saved.
    """
    catalog = _module("catalog", Path(masam_jax.__file__).parent.parent)
    if not command.name:
        questions = catalog.questions()
        width = max(map(len, questions))
        for name, question in questions.items():
            print_plain(console, f"{name:{width}}  {question}")
        return
    names = catalog.NAMES if command.name == _ALL else (command.name,)
    experiments = [catalog.find(name) for name in names]
    paper, conduct = (importlib.import_module(f"{_PACKAGE}.{m}") for m in ("paper", "conduct"))
    scale = paper.Scale(command.seeds, command.steps, command.quick)
    default = Path("runs") / ("experiments-quick" if command.quick else "experiments")
    output = default if command.output is None else Path(command.output)
    asked = conduct.Asked(command.datasets, scale, output, shlex.join(line))
    for experiment in experiments:
        conduct.conduct(experiment, asked, console, interrupt)


def _module(name: str, root: Path) -> Any:
    """A module of ``experiments/``.

    Raises:
      RunError: it is not there.
    """
    if not (root / _PACKAGE / f"{name}.py").is_file():
        raise RunError(
            "the experiments are in the repository, not in the installed package; clone it, and"
            " there: pip install --editable '.[train,analysis]'"
        )
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    return importlib.import_module(f"{_PACKAGE}.{name}")
