"""``masam_jax.tune``: the options of several methods, searched."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

from masam_jax.analysis.tuning_table import tuning_cells, tuning_to_markdown
from masam_jax.api.keywords import run_settings
from masam_jax.api.method_list import expand_methods, recorded_methods
from masam_jax.api.running import OutputPlace, call_in_words
from masam_jax.config.engine import parse_engine
from masam_jax.config.errors import RunError, user_errors
from masam_jax.core.extras import install_extras
from masam_jax.data.on_disk import Data
from masam_jax.training.storage.atomic_files import write_text

# Not those that a comparison uses.
_FIRST_SEED, _SEEDS = 100, 8


class TuningResults:
    """What was found; ``masam_jax.compare(data, results.methods)`` compares it.

    Attributes:
      path: the directory; a temporary one, which goes with this object, where none was asked for.
      best: the content of ``best.json``.
    """

    def __init__(self, place: OutputPlace, best: dict[str, Any]) -> None:
        """Of a directory that a tuning wrote."""
        self.path = place.path
        self.best = best
        self._place = place  # A temporary one lives as long.

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods with the options that were found best."""
        return tuple(row["best"] for row in self.best["tuned"])

    @property
    def table(self) -> pd.DataFrame:
        """A row for each method: mean validation scores with the defaults, and the best options."""
        rows = [
            {
                "method": row["method"],
                "default_score": float(np.mean(np.array(row["default_score"], float))),
                "best_score": float(np.mean(np.array(row["best_score"], float))),
                "best": row["best"],
                "trials": row["trials"],
                "pruned": row["pruned"],
            }
            for row in self.best["tuned"]
        ]
        return pd.DataFrame(rows).set_index("method")

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Copies the tuning, with its table; ``--methods @PATH`` takes the copy.

        Args:
          path: a directory that does not exist.

        Returns:
          It.

        Raises:
          RunError: something is there.
        """
        place = Path(path)
        if place.exists():
            raise RunError(f"{place} is there already; save where nothing is")
        shutil.copytree(self.path, place, ignore=shutil.ignore_patterns(".lock"))
        write_text(place / "tuning.md", tuning_to_markdown(self.best))
        return place

    def __repr__(self) -> str:
        """The best of each method."""
        return f"TuningResults({str(self.path)!r}, {', '.join(self.methods)})"

    def _repr_html_(self) -> str:
        """The table as a notebook shows it."""
        return pd.DataFrame(tuning_cells(self.best)).set_index("Method").to_html(border=0)


def tune(
    data: str | Data,
    methods: Sequence[str] = ("all",),
    *,
    trials: int = 12,
    output: str | os.PathLike[str] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
    engine: str = "local",
    **options: Any,
) -> TuningResults:
    """Searches the options of several methods, with the same number of trials for each.

    Options are judged on validation samples, with seeds that a comparison does not use; the test
    samples are not looked at.

    Args:
      data: as for `masam_jax.compare`, and so the rest.
      methods: options that a method names are not searched.
      trials: of each method.
      output: likewise.
      resume: likewise.
      overwrite: likewise.
      progress: whether a line is shown for each trial.
      engine: where trials are trained: ``"local"``, or ``"ray:workers=N"`` for methods side by side
        on a Ray cluster; what is found is the same.
      **options: every other flag of ``masam tune``; ``tune_seeds`` is the number of seeds.

    Returns:
      What was found: `methods`, `table`, `save`.

    Raises:
      RunError: as `masam_jax.compare`; also Optuna, or Ray for that engine, is missing.
      TypeError: likewise.
    """
    try:
        from masam_jax.tuning.tune import execute_tuning, plan_tuning
    except ModuleNotFoundError as error:
        raise RunError(f"tune() needs {error.name}: {install_extras('tune')}") from error
    place = OutputPlace(output)
    given = {"seed_offset": _FIRST_SEED, **options}
    given["seeds"] = given.pop("tune_seeds", given.get("seeds", _SEEDS))
    with user_errors():
        # A trial that is interrupted begins again, without checkpoints.
        fixed = {"report_split": "validation", "checkpoint_every": sys.maxsize}
        settings = run_settings("tune", data, {**given, **fixed})
        asked = place.config(resume, overwrite, ())
        place_of_trials = parse_engine(engine)
    published = settings.published.methods if settings.published else None
    recorded = recorded_methods(asked)
    words = (methods,) if isinstance(methods, str) else tuple(methods)
    plan = plan_tuning(
        expand_methods(words, published, recorded),
        trials,
        settings.experiment,
        settings.inputs,
        settings.data,
    )
    told = {"methods": list(words), "trials": trials, **options}
    call = call_in_words("tune", settings.experiment.data.dataset, told)
    console = Console(stderr=True, quiet=not progress)

    def announce(line: str) -> None:
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    _, best = execute_tuning(plan, asked, call, announce, engine=place_of_trials)
    return TuningResults(place, best)
