"""What ``masam datasets`` can be asked for, as typed options; docstrings are their help."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from masam_jax.data.builders.registry import default_data_dir

_Name = tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="NAME[:OPTION=VALUE,...]")]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _WithDataDir:
    """Commands that look where data are prepared."""

    data_dir: str | None = None
    """Directory of prepared data; $MASAM_DATA_DIR, or ~/masam_data, when None."""

    @property
    def place(self) -> Path:
        """The directory of prepared data."""
        return default_data_dir() if self.data_dir is None else Path(self.data_dir).expanduser()


@dataclasses.dataclass(frozen=True)
class ListDatasets(_WithDataDir):
    """List the data sets, and which of them are prepared."""


@dataclasses.dataclass(frozen=True)
class PrepareDataset(_WithDataDir):
    """Read a data set's own files once, and write them as training reads them.

    What is damaged or missing is left out and named at the end. A preparation that was stopped goes
    on with the same command.
    """

    name: _Name
    """Data set and options, as in crema_d:split=actor,frames=3; or the path of data of your own."""
    source: str | None = None
    """Directory of its own files, laid out as masam datasets info NAME says; downloads/manual/NAME
    below the directory of prepared data when None."""
    threads: int | None = None
    """Decoding threads; one for each core when None."""
    strict: bool = False
    """Stop at the first damaged or missing file."""
    overwrite: bool = False
    """Prepare it again; what is there is replaced when that is done."""

    def __post_init__(self) -> None:
        """Checks the number of threads."""
        _at_least_one("threads", self.threads)


@dataclasses.dataclass(frozen=True)
class DescribeDataset(_WithDataDir):
    """Say what a data set is: modalities, preprocessing, options, files it needs, provenance."""

    name: _Name
    """Data set and options, as in crema_d:split=actor,frames=3; or the path of data of your own."""


@dataclasses.dataclass(frozen=True)
class GuessDataset:
    """Look at a table, an .npz file or a folder, and write the dataset.toml that it would use.

    It says which column is the label, which are of one modality, and how samples are split;
    comments say what it was unsure of. Change what is wrong: the file comes before every guess.
    """

    place: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="PATH[:OPTION=VALUE,...]")]]
    """The file or folder, and what is known of it, as in table.csv:group=patient."""
    label: str | None = None
    """Column of the classes; several with / between them are labels of zero or one."""
    overwrite: bool = False
    """Replace a dataset.toml that is there already."""


@dataclasses.dataclass(frozen=True)
class VerifyDataset(_WithDataDir):
    """Read prepared data back, check every sample, count, and draw some of them.

    Samples are decoded without augmentation. The exit code is 1 if one is damaged.
    """

    name: _Name
    """Data set and options, as in crema_d:split=actor,frames=3; or the path of data of your own."""
    samples: int | None = None
    """Number of samples to read, spread over all of them; all when None."""
    sheet: str | None = None
    """PNG file for the contact sheet; contact_sheet.png beside the prepared data when None."""
    rows: int = 3
    """Samples of each part on the contact sheet."""

    def __post_init__(self) -> None:
        """Checks the numbers."""
        _at_least_one("samples", self.samples)
        _at_least_one("rows", self.rows)


def _at_least_one(name: str, value: int | None) -> None:
    if value is not None and value < 1:
        raise ValueError(f"{name}={value} is out of range: expected an integer >= 1")


DatasetCommand = ListDatasets | PrepareDataset | DescribeDataset | GuessDataset | VerifyDataset
# By the word after ``datasets`` that asks for them.
DATASET_COMMANDS: dict[str, type[DatasetCommand]] = {
    "list": ListDatasets,
    "prepare": PrepareDataset,
    "info": DescribeDataset,
    "describe": GuessDataset,
    "verify": VerifyDataset,
}
