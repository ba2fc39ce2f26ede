"""What ``masam predict`` does."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from masam_jax.cli.commands import PredictFiles
from masam_jax.cli.printing import print_plain
from masam_jax.predict import Prediction, load_predictor
from masam_jax.training.storage.atomic_files import check_file, write_text
from masam_jax.training.storage.csv_text import csv_text

# Of samples and of classes, what the terminal shows.
_ROWS, _CLASSES = 10, 6


def execute_predict(command: PredictFiles, console: Console) -> None:
    """Predicts, and writes or shows a row for each sample.

    Raises:
      RunError: a mistake in what was asked.
      OSError: the predictions could not be written.
    """
    if command.output is not None:
        check_file(Path(command.output))
    predictor = load_predictor(
        command.run,
        method=command.method,
        checkpoint=command.checkpoint,
        fall_back=command.fall_back,
    )
    prediction = predictor.of_files(str(command.inputs), inputs=command.reading)
    if command.output is None:
        console.print(_first_rows(prediction, Text(f"{command.run}: {command.inputs}")))
        left = len(prediction.predicted) - _ROWS
        if left > 0:
            print_plain(console, f"and {left:,} more; --output FILE.csv writes all")
        return
    write_text(Path(command.output), csv_text(_lines(prediction)))
    print_plain(console, f"written: {command.output}")


def _lines(prediction: Prediction) -> Iterator[list[Any]]:
    """Cells of the CSV file: key, class and probabilities; zeros and ones, or estimates."""
    first = "row" if prediction.keys is None else "key"
    predicted = prediction.predicted.tolist()
    if prediction.is_regression:
        yield [first, *prediction.classes]
        for row, estimates in enumerate(predicted):
            yield [row if prediction.keys is None else prediction.keys[row], *estimates]
        return
    if prediction.multi_label:
        yield [first, *prediction.classes, *(f"p_{name}" for name in prediction.classes)]
    else:
        yield [first, "predicted", *(f"p_{name}" for name in prediction.classes)]
    for row, (found, probabilities) in enumerate(
        zip(predicted, prediction.probabilities, strict=True)
    ):
        name = row if prediction.keys is None else prediction.keys[row]
        decided = found if prediction.multi_label else [prediction.classes[found]]
        yield [name, *decided, *(f"{p:.6f}" for p in probabilities.tolist())]


def _first_rows(prediction: Prediction, title: Text) -> Table:
    """The same of few samples: all probabilities of few classes, the greatest of many."""
    table = Table(title=title, title_justify="left")
    table.add_column("row" if prediction.keys is None else "key")
    if prediction.is_regression:
        return _with_estimates(table, prediction)
    table.add_column("predicted")
    has_all = len(prediction.classes) <= _CLASSES
    for name in prediction.classes if has_all else ("probability",):
        table.add_column(Text(name), justify="right")
    names, several = prediction.classes, prediction.multi_label
    for row, probabilities in enumerate(prediction.probabilities[:_ROWS]):
        found = prediction.predicted[row]
        chosen = [name for name, has in zip(names, found, strict=True) if has] if several else []
        shown = probabilities if has_all else [probabilities.max()]
        table.add_row(
            Text(str(row) if prediction.keys is None else prediction.keys[row]),
            Text(", ".join(chosen) if several else names[int(found)]),
            *(f"{p:.3f}" for p in shown),
        )
    return table


def _with_estimates(table: Table, prediction: Prediction) -> Table:
    """The table with a column for each target."""
    for name in prediction.classes:
        table.add_column(Text(name), justify="right")
    for row, estimates in enumerate(prediction.predicted[:_ROWS]):
        table.add_row(
            Text(str(row) if prediction.keys is None else prediction.keys[row]),
            *(f"{value:.6g}" for value in estimates),
        )
    return table
