"""What ``masam datasets`` does."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from masam_jax.cli.dataset_commands import (
    DatasetCommand,
    DescribeDataset,
    GuessDataset,
    ListDatasets,
    PrepareDataset,
    VerifyDataset,
)
from masam_jax.cli.dataset_tables import (
    class_table,
    dataset_table,
    print_description,
    print_preparation,
    statistics_table,
)
from masam_jax.cli.own_datasets import guess_dataset, sheet_folder
from masam_jax.cli.printing import print_plain
from masam_jax.cli.sample_progress import SampleProgress
from masam_jax.cli.terminable import terminable
from masam_jax.cli.words import DATASETS, typed
from masam_jax.config.errors import RunError, user_errors
from masam_jax.core.extras import install_extras
from masam_jax.data.constant_inputs import describe_constants
from masam_jax.data.dataset_spec import (
    DatasetSpec,
    MissingPackage,
    all_dataset_names,
    is_own,
    is_published,
    options_of,
    parse_dataset,
    write_dataset,
)

if TYPE_CHECKING:
    from masam_jax.data.in_memory import MultimodalData
    from masam_jax.data.on_disk import PreparedData

_SHEET = "contact_sheet.png"
# Damaged samples that are named on the screen.
_NAMED = 20


def execute_datasets(command: DatasetCommand, console: Console, errors: Console) -> int:
    """Runs a command of ``masam datasets``.

    Args:
      command: what was asked for.
      console: for what it says.
      errors: for what went wrong.

    Returns:
      The exit code.

    Raises:
      RunError: a mistake in what was asked.
    """
    if isinstance(command, ListDatasets):
        return _list(command, console)
    if isinstance(command, GuessDataset):
        return guess_dataset(command, console)
    with user_errors():
        dataset = parse_dataset(command.name)
    if isinstance(command, PrepareDataset):
        return _prepare(dataset, command, console)
    if isinstance(command, DescribeDataset):
        return _describe(dataset, command, console)
    return _verify(dataset, command, console, errors)


def _list(command: ListDatasets, console: Console) -> int:
    from masam_jax.data.description import Description, describe_dataset

    rows: dict[str, Description | None] = {}
    needs: dict[str, list[str]] = {}
    troubles = []
    for name in all_dataset_names():
        rows[name] = None
        try:
            found = describe_dataset(DatasetSpec(name, options_of(name)()), command.place)
        except MissingPackage as error:
            needs.setdefault(error.need, []).append(name)
        except ValueError as error:
            troubles.append(str(error))
        else:
            rows[name] = found
            troubles += [found.trouble] if found.trouble else []
    console.print(dataset_table(rows))
    print_plain(console, f"prepared data: {command.place}")
    for need, names in needs.items():
        print_plain(console, f"{', '.join(names)}: {need}")
    for trouble in troubles:
        print_plain(console, trouble)
    return 0


def _prepare(dataset: DatasetSpec, command: PrepareDataset, console: Console) -> int:
    from masam_jax.data.description import describe_dataset
    from masam_jax.data.prepare import open_builder, prepare_dataset, remove_leftovers

    name = write_dataset(dataset)
    if is_own(dataset.name):
        print_plain(console, f"{name} is read where it is; there is nothing to prepare.")
        return 0
    if not is_published(dataset.name):
        print_plain(console, f"{name} ships with the package; there is nothing to prepare.")
        return 0
    with user_errors():
        if not command.overwrite and open_builder(dataset, command.place).is_prepared:
            remove_leftovers(dataset, command.place)
            data, _ = _open(dataset, command.place)
            # These options may ask for lists that it was prepared without.
            data.split(seed=0)
            print_plain(console, f"{name} is prepared already; --overwrite does it again.")
        else:
            source = None if command.source is None else Path(command.source).expanduser()
            with terminable(), SampleProgress(console, name) as progress:
                prepare_dataset(
                    dataset,
                    command.place,
                    source,
                    threads=command.threads or os.cpu_count() or 1,
                    strict=command.strict,
                    overwrite=command.overwrite,
                    progress=progress.update,
                )
        found = describe_dataset(dataset, command.place)
    print_preparation(console, found, _NAMED)
    print_plain(console, f"Read it back with\n  {typed([DATASETS, 'verify', name])}")
    return 0


def _describe(dataset: DatasetSpec, command: DescribeDataset, console: Console) -> int:
    from masam_jax.data.description import describe_dataset

    with user_errors():
        found = describe_dataset(dataset, command.place)
    print_description(console, found)
    return 0


def _verify(dataset: DatasetSpec, command: VerifyDataset, console: Console, errors: Console) -> int:
    from masam_jax.data.description import describe_dataset
    from masam_jax.data.in_memory import MultimodalData
    from masam_jax.data.own.checks import suspicions
    from masam_jax.data.verification import verify_data

    try:
        from masam_jax.analysis.contact_sheet import check_sheet_path, write_contact_sheet
    except ModuleNotFoundError as error:
        raise RunError(
            f"masam datasets verify needs {error.name}: {install_extras('analysis')}"
        ) from error

    name = write_dataset(dataset)
    sheet = command.place / dataset.name / _SHEET
    if is_own(dataset.name):
        sheet = sheet_folder(dataset.name) / _SHEET
    if command.sheet is not None:
        sheet = Path(command.sheet).expanduser()
    with user_errors():
        check_sheet_path(sheet)
        data, vocabulary = _open(dataset, command.place)
        description = describe_dataset(dataset, command.place)
        with terminable(), SampleProgress(console, name) as progress:
            found = verify_data(
                data, samples=command.samples, examples=command.rows, progress=progress.update
            )
    title = f"{description.title} ({name})"
    print_plain(console, f"{title}: {found.read:,} of {found.total:,} samples read")
    console.print(class_table(description, found))
    console.print(statistics_table(found))
    for table in sorted(set(found.nan_shares) - set(found.statistics)):
        print_plain(console, f"stored {table}: {100 * found.nan_shares[table]:.1f} % NaN")
    for line in describe_constants(found.constants, _NAMED):
        print_plain(console, line)
    print_plain(console, f"index: sha256 {data.digest()}")
    if found.examples:
        write_contact_sheet(sheet, title, found, description.class_names, vocabulary)
        print_plain(console, f"written: {sheet}")
    if isinstance(data, MultimodalData) and is_own(dataset.name):
        for suspicion in suspicions(data, [data.split(seed=0)]):
            print_plain(console, f"warning: {suspicion}")
    for problem in found.problems[:_NAMED]:
        print_plain(errors, f"{problem.key}: {problem.message}")
    if len(found.problems) > _NAMED:
        print_plain(errors, f"… and {len(found.problems) - _NAMED:,} more")
    if found.problems:
        print_plain(
            errors,
            f"masam datasets verify: {len(found.problems):,} of {found.read:,} samples are damaged;"
            " mend their files, then masam datasets prepare NAME --overwrite",
        )
    return 1 if found.problems else 0


def _open(
    dataset: DatasetSpec, data_dir: Path
) -> tuple["MultimodalData | PreparedData", tuple[str, ...]]:
    """The data, and the words of their tokens."""
    from masam_jax.data.on_disk import PreparedData
    from masam_jax.data.own.opening import open_own
    from masam_jax.data.prepare import open_builder
    from masam_jax.data.shipped import SHIPPED

    if is_own(dataset.name):
        own = open_own(dataset.name, dataset.options)
        return own.data, own.vocabulary
    if not is_published(dataset.name):
        return SHIPPED[dataset.name].load(dataset.options), ()
    builder = open_builder(dataset, data_dir)
    if not builder.is_prepared:
        name = write_dataset(dataset)
        raise RunError(
            f"{name} is not prepared in {builder.data_dir}: masam datasets prepare {name}"
            " --source DIR does that"
        )
    return PreparedData(builder, data_dir), builder.vocabulary
