"""What tells whether data of one's own are still those that a run was trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from masam_jax.data.in_memory import MultimodalData
from masam_jax.data.own.columns import Columns
from masam_jax.data.own.recipe import RANDOM, Recipe


def fingerprint(
    data: MultimodalData,
    content: Mapping[str, str] | None = None,
    columns: Columns | None = None,
    recipe: Recipe | None = None,
) -> str:
    """sha256 (hex) of everything that a run depends on.

    Args:
      data: the data set.
      content: modality -> sha256 of the files that it was decoded from, which stand for the decoded
        values: decoders may round otherwise on another machine.
      columns: what it was made of, for the column of parts.
      recipe: how, for the sizes of parts that are drawn.
    """
    digest = hashlib.sha256()

    def add(name: str, value: Any) -> None:
        array = np.asarray(value)
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())

    for m in data.modalities:
        spec = data.modality_specs[m]
        add(m, f"{spec.kind} {spec.shape} {np.dtype(spec.dtype).str} {spec.normalization}".encode())
        if content and m in content:
            add(m, content[m].encode())
        else:
            for part in jax.tree.leaves(data.features[m]):
                add(m, part)
        if m in data.present:
            add(f"present {m}", data.present[m])
    add("labels", data.labels)
    add("classes", "\n".join(data.class_names).encode())
    if data.groups is not None:
        add("groups", "\n".join(data.groups.tolist()).encode())
    if recipe is not None:
        sizes = (recipe.test, recipe.validation, recipe.folds, recipe.fold)
        add("parts", " ".join(map(str, sizes)).encode())
    if columns is not None and recipe is not None and recipe.split not in (None, RANDOM):
        add("split", "\n".join(map(str, columns[str(recipe.split)].tolist())).encode())
    return digest.hexdigest()
