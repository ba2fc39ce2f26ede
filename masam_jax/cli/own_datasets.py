"""What ``masam datasets`` does with data of one's own."""

import dataclasses
from pathlib import Path

from rich.console import Console

from masam_jax.cli.dataset_commands import GuessDataset
from masam_jax.cli.dataset_tables import print_description
from masam_jax.cli.printing import print_plain
from masam_jax.cli.words import program
from masam_jax.config.errors import RunError, user_errors
from masam_jax.core.user_code import is_function
from masam_jax.data.dataset_spec import DatasetSpec, parse_dataset
from masam_jax.data.own.options import OwnOptions


def guess_dataset(command: GuessDataset, console: Console) -> int:
    """Writes a ``dataset.toml``, and shows what it says.

    Raises:
      RunError: there is nothing to describe, or there is a ``dataset.toml`` already.
    """
    from masam_jax.data.description import describe_dataset
    from masam_jax.data.own.describing import write_description

    with user_errors():
        dataset = parse_dataset(command.place)
        options = dataset.options
        if not isinstance(options, OwnOptions):
            raise RunError(
                f"{dataset.name} is a data set of the package: masam datasets info {dataset.name}"
            )
        if command.label is not None:
            options = dataclasses.replace(options, label=command.label)
        toml, doubts = write_description(dataset.name, options, overwrite=command.overwrite)
        print_plain(console, f"written: {toml}")
        for doubt in doubts:
            print_plain(console, f"unsure: {doubt}")
        try:
            found = describe_dataset(DatasetSpec(dataset.name, OwnOptions()), Path())
        except ValueError as error:
            raise ValueError(f"{toml} is written, but the data cannot be used: {error}") from error
    print_description(console, dataclasses.replace(found, options=()))
    print_plain(console, f"Train on it with\n  {program()} compare --dataset {dataset.name}")
    return 0


def sheet_folder(place: str) -> Path:
    """The folder that data of one's own are in; the working directory for a function's."""
    if is_function(place):
        return Path()
    path = Path(place).expanduser()
    return path if path.is_dir() else path.parent
