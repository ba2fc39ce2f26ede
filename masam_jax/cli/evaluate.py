"""What ``masam evaluate`` does."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from masam_jax.analysis import formatting, summarize
from masam_jax.analysis.primary_metric import is_regression
from masam_jax.analysis.rows import FURTHER_METRICS, loss_heading
from masam_jax.cli.commands import Evaluate
from masam_jax.cli.evaluate_files import evaluate_files
from masam_jax.cli.sample_progress import SampleProgress
from masam_jax.training.evaluate import Evaluation, evaluate_run
from masam_jax.training.metric_names import title
from masam_jax.training.predictions_file import write_predictions
from masam_jax.training.storage.atomic_files import check_file


def execute_evaluate(command: Evaluate, console: Console) -> None:
    """Evaluates, and shows a row for each method.

    Raises:
      RunError: a mistake in what was asked.
      OSError: the predictions could not be written.
    """
    if command.predictions is not None:
        check_file(Path(command.predictions))
    evaluations = _evaluated(command, console)
    samples = f"{command.split} split" if command.inputs is None else command.inputs
    table = Table(title=Text(f"{command.run}: {samples}"), title_justify="left")
    (metric,) = {evaluation.metric for evaluation in evaluations}
    errors = ("mae", "rmse") if is_regression(metric) else ()
    shares = (metric,) if errors else tuple(dict.fromkeys((metric, "accuracy", "macro_f1")))
    columns = [*(f"{title(name)}, %" for name in shares), *map(title, errors)]
    for heading in ("Method", "Seeds", "Step", *columns, loss_heading(metric)):
        table.add_column(heading, justify="left" if heading == "Method" else "right")
    for evaluation in evaluations:
        metrics = evaluation.metrics
        table.add_row(
            Text(evaluation.method.title),
            str(len(evaluation.seeds)),
            str(evaluation.step),
            *(formatting.percent(summarize(metrics[name])) for name in shares),
            *(formatting.in_units(summarize(metrics[name])) for name in errors),
            formatting.mean_and_std(summarize(metrics["fusion_loss"]), 3),
        )
    console.print(table)
    if not errors:
        console.print(_further_table(evaluations))
    if command.predictions is not None:
        write_predictions(Path(command.predictions), evaluations)
        console.print(f"written: {command.predictions}", highlight=False, markup=False)


def _evaluated(command: Evaluate, console: Console) -> list[Evaluation]:
    run = Path(command.run)
    if command.inputs is not None:
        return evaluate_files(
            run,
            command.inputs,
            command.label,
            command.checkpoint,
            command.reading,
            fall_back=command.fall_back,
        )
    with SampleProgress(console, f"preparing the data of {run}") as preparing:
        return evaluate_run(
            run,
            command.split,
            command.checkpoint,
            command.reading,
            fall_back=command.fall_back,
            report=preparing.update,
        )


def _further_table(evaluations: Sequence[Evaluation]) -> Table:
    table = Table(title="Further metrics", title_justify="left")
    table.add_column("Method")
    for name in FURTHER_METRICS:
        table.add_column(f"{title(name)}, %", justify="right")
    for evaluation in evaluations:
        found = (summarize(evaluation.metrics[name]) for name in FURTHER_METRICS)
        table.add_row(Text(evaluation.method.title), *map(formatting.percent, found))
    return table
