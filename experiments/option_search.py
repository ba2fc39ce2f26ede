"""Options searched for an experiment's methods, on validation samples of seeds of their own."""

import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.paper import PlannedRun, PlannedSearch
from masam_jax.api.keywords import run_settings
from masam_jax.api.method_list import bind_method
from masam_jax.config import OutputConfig
from masam_jax.config.errors import user_errors
from masam_jax.training.interrupt import InterruptRequest
from masam_jax.tuning.tune import execute_tuning, plan_tuning


def search_options(
    run: PlannedRun,
    search: PlannedSearch,
    place: Path,
    command: str,
    interrupt: InterruptRequest | None = None,
) -> Sequence[str]:
    """The best specification of each method of ``search``; a search that is finished is read.

    Args:
      run: whose data, network and length are taken.
      search: what is searched.
      place: of the comparison; the search is written beside it.
      command: the command line, for the record.
      interrupt: asked between steps whether to stop.

    Raises:
      RunError: a mistake in what was planned, or another search in its place.
      InterruptedRun: a signal came; every finished trial is saved.
      OSError: something could not be written.
    """
    own = {
        "seeds": search.seeds,
        "seed_offset": search.first_seed,
        "report_split": "validation",
        # A trial that is interrupted begins again, without checkpoints.
        "checkpoint_every": sys.maxsize,
    }
    with user_errors():
        settings = run_settings("tune", run.dataset, {**run.options, **own})
    published = settings.published.methods if settings.published else None
    plan = plan_tuning(
        [bind_method(spec, published) for spec in search.methods.values()],
        search.trials,
        settings.experiment,
        settings.inputs,
    )
    path = place.with_name(f"{place.name}-search")
    output = OutputConfig(str(path), resume=(path / "config.json").is_file(), loggers=())
    _, best = execute_tuning(plan, output, [command], lambda line: None, interrupt)
    return tuple(row["best"] for row in best["tuned"])
