"""What the columns of data of one's own are: label, parts, groups, modalities."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from masam_jax.data.own.options import OwnOptions

LearningTask = Literal["classification", "regression"]

RANDOM = "random"
"""In the place of a split column: parts are drawn although there is one."""


@dataclasses.dataclass(frozen=True)
class Ingredients:
    """The columns of one modality.

    Attributes:
      kind: a name of ``masam_jax.data.own.kinds``.
      columns: several of numbers, or of words, are one vector; of other kinds there is one.
      settings: of the kind, such as the size of images.
    """

    kind: str
    columns: tuple[str, ...]
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a `MultimodalData` is made of columns.

    Attributes:
      label: column of the classes; several are labels of zero or one, or the targets.
      modalities: modality -> its columns.
      table: file that the columns are read from, beside ``dataset.toml``; empty for that itself.
      split: column that names the part of each row; None where parts are drawn.
      group: column that says whose row it is.
      key: column that names the rows.
      classes: names of the classes in their order; as the label has them when None.
      test: share or number of rows, as `OwnOptions` has it, and so the following.
      validation: likewise.
      folds: likewise.
      fold: likewise.
      task: ``classification``, or ``regression``.
    """

    label: tuple[str, ...]
    modalities: Mapping[str, Ingredients]
    table: str = ""
    split: str | None = None
    group: str | None = None
    key: str | None = None
    classes: tuple[str, ...] | None = None
    test: float | None = None
    validation: float | None = None
    folds: int | None = None
    fold: int | None = None
    task: LearningTask = "classification"

    def with_options(self, options: OwnOptions) -> Recipe:
        """The same, where the options do not say otherwise."""
        given = {
            field.name: value
            for field in dataclasses.fields(options)
            if (value := getattr(options, field.name)) is not None
        }
        label = given.pop("label", None)
        found = dataclasses.replace(self, **given)
        if "test" in given:
            found = dataclasses.replace(found, folds=None)
        if "folds" in given:
            found = dataclasses.replace(found, test=None)
        if label is not None and label_columns(label) != self.label:
            found = dataclasses.replace(found, label=label_columns(label), classes=None)
        if found.task == "regression":
            found = dataclasses.replace(found, classes=None)
        taken = {*found.label, found.split, found.group, found.key}
        kept = {
            name: dataclasses.replace(each, columns=columns)
            for name, each in found.modalities.items()
            if (columns := tuple(c for c in each.columns if c not in taken))
        }
        return dataclasses.replace(found, modalities=kept)


def label_columns(label: str) -> tuple[str, ...]:
    """The columns that an option names, with / between them."""
    return tuple(part.strip() for part in label.split("/"))
