"""Any data set, opened by the words that the command line takes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from masam_jax.data.builders.registry import default_data_dir, default_source
from masam_jax.data.dataset_spec import DatasetSpec, is_own, is_published, parse_dataset
from masam_jax.data.in_memory import MultimodalData
from masam_jax.data.on_disk import PreparedData
from masam_jax.data.own.opening import open_own
from masam_jax.data.prepare import open_builder
from masam_jax.data.shipped import SHIPPED


def load_dataset(
    spec: str,
    options: Any = None,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    moved: str | os.PathLike[str] | None = None,
) -> MultimodalData | PreparedData:
    """Opens a data set; no network is used.

    Args:
      spec: ``NAME[:OPTION=VALUE,...]`` of a data set that ships, or of a published one that was
        prepared; a path, or ``package.module:function``, with options after it.
      options: an instance of the name's class of options, in the place of those in ``spec``.
      data_dir: where prepared data are; ``$MASAM_DATA_DIR`` or ``~/masam_data`` when None.
      moved: where data of one's own are now.

    Raises:
      ValueError: an unknown name, with the nearest one; an unknown option, a package that is
        missing, files that are missing or damaged, or data that are not prepared.

    Examples:
      >>> load_dataset("synthetic:samples=200")
      MultimodalData('synthetic', 200 samples, 4 classes)
        modalities: m0: vector [16], m1: vector [16], m2: vector [16]
        metric: accuracy; split: drawn
    """
    dataset = parse_dataset(spec) if options is None else DatasetSpec(spec, options)
    if is_own(dataset.name):
        place = dataset.name if moved is None else os.fspath(moved)
        return open_own(place, dataset.options).data
    if not is_published(dataset.name):
        return SHIPPED[dataset.name].load(dataset.options)
    place_of_data = default_data_dir() if data_dir is None else Path(data_dir)
    builder = open_builder(dataset, place_of_data)
    if not builder.is_prepared:
        raise ValueError(
            f"data set {dataset.name!r} is not prepared in {place_of_data}, and its files are not"
            f" in {default_source(dataset.name, place_of_data)}: give --source DIR, with the files"
            f" that masam datasets info {dataset.name} describes."
        )
    return PreparedData(builder, place_of_data)
