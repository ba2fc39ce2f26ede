"""A `MultimodalData` of columns, as a recipe says."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from masam_jax.core.specs import unknown
from masam_jax.data.in_memory import MultimodalData
from masam_jax.data.own.columns import Columns
from masam_jax.data.own.digest import fingerprint
from masam_jax.data.own.labels import read_labels, read_targets
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
    if recipe.task == "regression":
        labels, class_names = read_targets(columns, recipe.label)
    else:
        labels, class_names = read_labels(columns, recipe.label, recipe.classes)
        _check_classes(columns, recipe, labels, class_names)
    groups = None
    if recipe.group is not None:
        groups = np.array(list(map(str, columns.require_complete(recipe.group, "a group"))))
    keys = None
    if recipe.key is not None:
        keys = [str(key) for key in columns.require_complete(recipe.key, "a name").tolist()]
    samples = {m: make_samples(columns, m, group) for m, group in recipe.modalities.items()}
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
            recipe=_settled(recipe, samples, class_names),
            task=recipe.task,
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


def _settled(
    recipe: Recipe, samples: Mapping[str, Samples], class_names: tuple[str, ...]
) -> Recipe:
    """The recipe by which other rows become samples like these."""
    groups = {
        m: dataclasses.replace(group, settings={**group.settings, **samples[m].settled})
        for m, group in recipe.modalities.items()
    }
    return dataclasses.replace(recipe, modalities=groups, classes=class_names)


def _check_classes(
    columns: Columns, recipe: Recipe, labels: np.ndarray, class_names: tuple[str, ...]
) -> None:
    if labels.ndim == 1 and len(np.unique(labels)) < 2:
        raise ValueError(
            f"{columns.named(recipe.label[0])}: all {len(labels):,} rows are of the"
            f" class {class_names[int(labels[0])]!r}; at least 2 classes are needed"
        )


def make_samples(columns: Columns, modality: str, group: Ingredients) -> Samples:
    """All samples of one modality, as its columns' kind has it.

    Raises:
      ValueError: an unknown kind, or a column is missing or does not hold what the kind needs.
    """
    if group.kind not in MAKERS:
        raise ValueError(f"modality {modality!r}: {unknown('kind', group.kind, MAKERS)}")
    numbers = columns[group.columns[0]].dtype.kind in "biuf"
    maker = make_grid if group.kind == "image" and numbers else MAKERS[group.kind]
    found = maker(columns, group)
    asked = f"present_{modality}"
    if asked in columns.arrays:
        has = columns.arrays[asked]
        if has.ndim != 1 or has.dtype.kind not in "biu" or not np.isin(has, (0, 1)).all():
            raise ValueError(f"{columns.named(asked)}: truth values are needed, or zeros and ones")
        found = found._replace(present=found.present & has.astype(np.bool_))
    return found
