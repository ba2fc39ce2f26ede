"""What ``masam measure`` does."""

import shlex
from pathlib import Path
from typing import Any

from rich.console import Console

from masam_jax.analysis.measures_page import measures_page
from masam_jax.analysis.result_page import save_result_page
from masam_jax.cli.commands import Measure
from masam_jax.cli.printing import print_plain
from masam_jax.config.errors import RunError, user_errors
from masam_jax.geometry.measured_run import (
    SURFACE,
    chosen_quantities,
    measure_seeds,
    measure_surfaces,
)
from masam_jax.geometry.of_runs import RunLosses, open_losses
from masam_jax.training.storage.atomic_files import write_json
from masam_jax.training.storage.run_config import check_specs
from masam_jax.training.storage.run_directory import read_config


def execute_measure(command: Measure, console: Console, line: list[str]) -> None:
    """Measures a run, or every method of a comparison, and shows the tables.

    Args:
      command: what was asked for.
      console: for what it says.
      line: the command line.

    Raises:
      RunError: no run, no checkpoint, data that differ, or options that do not fit.
      OSError: something could not be written.
    """
    run = Path(command.run)
    with user_errors():
        quantities = chosen_quantities(command.measure)
    _, specs = check_specs(run, read_config(run))
    output = Path(command.output) if command.output else run / "measures"
    if output.is_file() or (output / "config.json").exists():
        raise RunError(f"{output} is a file or a run's directory; give another --output")
    methods, surfaces = [], {}
    seeds: tuple[int, ...] = ()
    samples = 0
    for spec in [command.method] if command.method else specs:
        opened = open_losses(
            run,
            spec,
            split=command.split,
            samples=command.samples,
            batch_size=command.batch_size,
            checkpoint=command.checkpoint,
            inputs=command.reading,
            fall_back=command.fall_back,
        )
        if command.seeds is not None:
            with user_errors():
                opened = opened.first(command.seeds)
        print_plain(console, f"{opened.title}: {', '.join(quantities)}")
        methods.append(_measured(opened, command, quantities))
        if SURFACE in quantities:
            with user_errors():
                surfaces[opened.slug] = measure_surfaces(
                    opened,
                    command.loss,
                    output / "surfaces" / opened.slug,
                    points=command.points,
                    extent=command.extent,
                )
        seeds = opened.seeds
        samples = sum(batch.batch.labels.shape[1] for batch in opened.of_all_seeds.batches)
    content = {
        "run": str(run),
        "loss": command.loss,
        "split": command.split,
        "samples": samples,
        "seeds": list(seeds),
        "methods": methods,
    }
    page = measures_page(content, surfaces, shlex.join(line))
    written = save_result_page(page, output)
    write_json(output / "measures.json", content)
    for table in page.tables:
        console.print(table.rich())
    print_plain(console, f"written: {written}")


def _measured(run: RunLosses, command: Measure, quantities: tuple[str, ...]) -> dict[str, Any]:
    with user_errors():
        found = measure_seeds(run, quantities, command.loss, command.relative_error)
    return {"spec": run.spec, "slug": run.slug, "title": run.title, "measures": found}
