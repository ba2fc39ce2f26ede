"""``masam_jax.open_dataset``: whatever ``--dataset`` takes."""

from __future__ import annotations

import os

from masam_jax.config import InputConfig
from masam_jax.config.errors import user_errors
from masam_jax.data.on_disk import Data
from masam_jax.training.open_data import open_data, prepare_if_needed


def open_dataset(
    spec: str,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    source: str | os.PathLike[str] | None = None,
) -> Data:
    """Opens a data set, by the words that the command line takes.

    Args:
      spec: a name, ``NAME[:OPTION=VALUE,...]``, a path, or ``package.module:function``.
      data_dir: where prepared data are; ``$MASAM_DATA_DIR`` or ``~/masam_data`` when None.
      source: the data set's own files, from which it is prepared if it is not yet.

    Returns:
      Arrays in memory (`masam_jax.MultimodalData`), or prepared data that are read from disk.

    Raises:
      RunError: no such data set, or its files are missing or damaged; the message says what is
        accepted.

    Examples:
      >>> data = open_dataset("mfeat")
      >>> len(data), data.modalities
      (2000, ('fac', 'fou', 'kar', 'mor', 'pix', 'zer'))
    """
    inputs = InputConfig(
        data_dir=None if data_dir is None else os.fspath(data_dir),
        source=None if source is None else os.fspath(source),
    )
    with user_errors():
        prepare_if_needed(spec, inputs)
        return open_data(spec, inputs)
