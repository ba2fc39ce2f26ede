"""How a run names data that it was given as arrays."""

import hashlib
from typing import Any

import jax
import numpy as np

from masam_jax.data.dataset_spec import IN_MEMORY, DatasetSpec, write_dataset
from masam_jax.data.in_memory import MultimodalData
from masam_jax.data.on_disk import Data, PreparedData


def dataset_name(data: Data) -> str:
    """What stands for the data in ``config.json``.

    Args:
      data: prepared data have a name of their own; arrays get one that holds a digest of their
        content, so that no run goes on with others.
    """
    if isinstance(data, PreparedData):
        return write_dataset(DatasetSpec(data.name, data.builder.options))
    if not isinstance(data, MultimodalData):
        raise TypeError(
            f"data is a {type(data).__name__}; expected a MultimodalData, what open_dataset"
            " returns, or text as masam --dataset takes it"
        )
    return f"{IN_MEMORY}, {data.name}, {_digest(data)[:16]}>"


def _digest(data: MultimodalData) -> str:
    found = hashlib.sha256()
    content: Any = (data.features, data.present, data.labels)
    for path, array in jax.tree_util.tree_leaves_with_path(content):
        array = np.ascontiguousarray(array)
        found.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}".encode())
        found.update(array.tobytes())
    return found.hexdigest()
