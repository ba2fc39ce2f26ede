"""A `MultimodalData` of columns, as a recipe says."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

from masam_jax.core.specs import unknown
from masam_jax.data.in_memory import MultimodalData
from masam_jax.data.own.columns import Columns, is_one_hot
from masam_jax.data.own.digest import fingerprint
from masam_jax.data.own.location import TOML_NAME
from masam_jax.data.own.media import make_array, make_audio, make_image, make_video
from masam_jax.data.own.parts import make_splitter
from masam_jax.data.own.recipe import Ingredients, Recipe
from masam_jax.data.own.samples import (
    Samples,
    make_category,
    make_grid,
    make_sequence,
    make_tokens,
    make_vector,
)
from masam_jax.data.own.texts import make_text
from masam_jax.data.raw_labels import named_labels

MAKERS: dict[str, Callable[[Columns, Ingredients], Samples]] = {
    "array": make_array,
    "audio": make_audio,
    "category": make_category,
    "frames": make_grid,
    "image": make_image,
    "sequence": make_sequence,
    "spectrogram": make_grid,
    "text": make_text,
    "tokens": make_tokens,
    "vector": make_vector,
    "video": make_video,
}
"""Kind of columns -> what makes samples of them."""


def build(columns: Columns, recipe: Recipe, name: str) -> tuple[MultimodalData, tuple[str, ...]]:
    """Makes the data set.

    Args:
      columns: what the file holds.
      recipe: what they are.
      name: of the data set.

    Returns:
      The data, and the words of its text, by token; empty where there is no text, or several.

    Raises:
      ValueError: a column is missing, or does not hold what the recipe says; the message names the
        file, the row and the column.
    """
    labels, class_names = _labels(columns, recipe)
    groups = None
    if recipe.group is not None:
        groups = np.array(list(map(str, columns.require_complete(recipe.group, "a group"))))
    keys = None
    if recipe.key is not None:
        keys = [str(key) for key in columns.require_complete(recipe.key, "a name").tolist()]
    samples = {m: _samples(columns, m, group) for m, group in recipe.modalities.items()}
    splitter = make_splitter(columns, recipe, labels, groups)
    vocabularies = [each.vocabulary for each in samples.values() if each.vocabulary]
    try:
        data = MultimodalData(
            {m: each.features for m, each in samples.items()},
            labels,
            len(class_names),
            specs={m: each.spec for m, each in samples.items()},
            present={m: each.present for m, each in samples.items()},
            splitter=splitter,
            name=name,
            class_names=class_names,
            groups=groups,
            keys=keys,
        )
    except ValueError as error:
        raise ValueError(f"{columns.source}: {error}") from error
    content = {m: each.content for m, each in samples.items() if each.content}
    data = dataclasses.replace(data, fingerprint=fingerprint(data, content, columns, recipe))
    return data, vocabularies[0] if len(vocabularies) == 1 else ()


def data_name(source: Path) -> str:
    """What data from a file or folder are called."""
    source = source.absolute()
    source = source.parent if source.name == TOML_NAME else source
    return source.stem if source.suffix and not source.is_dir() else source.name


def _labels(columns: Columns, recipe: Recipe) -> tuple[np.ndarray, tuple[str, ...]]:
    parts = [columns.require_complete(name, "a label") for name in recipe.label]
    values = parts[0] if len(parts) == 1 else np.stack(parts, axis=1)
    if len(parts) == 1 and is_one_hot(values):
        values = values.argmax(axis=1)
    names = recipe.classes if len(parts) == 1 else recipe.label
    if names is not None and len(parts) == 1 and values.dtype.kind in "biu" and values.ndim == 1:
        texts = values.astype(str)
        # Classes that are numbers need not begin at 0.
        values = texts if set(texts.tolist()) <= set(names) else values
    try:
        labels, class_names = named_labels(values, names)
    except ValueError as error:
        raise ValueError(f"{columns.source}, column {recipe.label[0]!r}: {error}") from error
    if labels.ndim == 1 and len(np.unique(labels)) < 2:
        raise ValueError(
            f"{columns.source}, column {recipe.label[0]!r}: all {len(labels):,} rows are of the"
            f" class {class_names[int(labels[0])]!r}; at least 2 classes are needed"
        )
    return labels, class_names


def _samples(columns: Columns, modality: str, group: Ingredients) -> Samples:
    if group.kind not in MAKERS:
        raise ValueError(f"modality {modality!r}: {unknown('kind', group.kind, MAKERS)}")
    numbers = columns[group.columns[0]].dtype.kind in "biuf"
    maker = make_grid if group.kind == "image" and numbers else MAKERS[group.kind]
    found = maker(columns, group)
    asked = f"present_{modality}"
    if asked in columns.arrays:
        has = columns.arrays[asked]
        if has.ndim != 1 or has.dtype.kind not in "biu" or not np.isin(has, (0, 1)).all():
            raise ValueError(
                f"{columns.source}, column {asked!r}: truth values are needed, or zeros and ones"
            )
        found = found._replace(present=found.present & has.astype(np.bool_))
    return found
