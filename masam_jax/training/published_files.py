"""Files that a published data set's own decoder makes samples of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np

from masam_jax.config import InputConfig
from masam_jax.data.batch import Batch
from masam_jax.data.builders.source import Record
from masam_jax.data.damaged_media import DamagedMedia
from masam_jax.data.dataset_spec import DatasetSpec
from masam_jax.data.modality import Modality
from masam_jax.data.own.columns import Columns, missing
from masam_jax.data.prepare import open_builder
from masam_jax.data.raw_inputs import check_inputs, slices
from masam_jax.training.open_data import data_directory
from masam_jax.training.storage.surroundings import read_fitted, read_kept


def published_files(
    dataset: DatasetSpec,
    root: Path,
    columns: Columns,
    specs: Mapping[str, Modality],
    inputs: InputConfig,
) -> Callable[[int], Iterator[tuple[Batch, int]]]:
    """Reads a table of files as the data set's own are read.

    Args:
      dataset: a published one.
      root: of the run.
      columns: one for each modality of the data set, called as it is: paths, or text.
      specs: modalities of the run -> what their samples look like.
      inputs: where prepared data are, and how many threads decode.

    Returns:
      So many samples at a time, and how many of them count.

    Raises:
      ValueError: the data set's samples are no files, a column or a file is missing, or a cell is
        empty; the message names file, row and column. While it goes on: a file is damaged.
    """
    builder = open_builder(dataset, data_directory(inputs))
    builder.fitted, builder.kept = read_fitted(root), read_kept(root)
    records = [
        _record(columns, row, tuple(builder.modalities), builder.source_of_files)
        for row in range(len(columns))
    ]

    def decoded(row: int) -> dict[str, Any]:
        try:
            found = builder.decode(builder.stored(records[row]), None)
        except (DamagedMedia, ValueError) as error:
            raise ValueError(f"{columns.at(row)}: {error}") from error
        return {m: found[m] for m in specs}

    def parts(size: int) -> Iterator[tuple[Batch, int]]:
        with ThreadPoolExecutor(inputs.threads) as threads:
            for start in range(0, len(records), size):
                rows = range(start, min(start + size, len(records)))
                samples = list(threads.map(decoded, rows))
                stacked = jax.tree.map(lambda *arrays: np.stack(arrays), *samples)
                yield from slices(check_inputs(stacked, specs), size)

    return parts


def _record(
    columns: Columns,
    row: int,
    modalities: tuple[str, ...],
    source_of: Callable[[Mapping[str, str], Path], dict[str, Any]],
) -> Record:
    cells = {}
    for m in modalities:
        value = columns[m][row]
        if missing(columns[m][row : row + 1])[0]:
            raise ValueError(f"{columns.at(row, m)}: it is empty; a file or text is needed")
        cells[m] = str(value)
    source = source_of(cells, columns.folder)
    for m, cell in cells.items():
        path = columns.folder / Path(cell).expanduser()
        if path in source.values() and not path.exists():
            raise ValueError(f"{columns.at(row, m)}: {path}: there is no such file")
    return Record(str(row), "test", 0, source)
