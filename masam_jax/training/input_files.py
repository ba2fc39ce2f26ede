"""A list of samples that a run has not seen, as it reads its own: a table, arrays or a folder."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from masam_jax.config import InputConfig
from masam_jax.config.errors import RunError
from masam_jax.core.specs import unknown
from masam_jax.core.user_code import is_function
from masam_jax.data.batch import Batch
from masam_jax.data.dataset_spec import IN_MEMORY, is_own, is_published, parse_dataset
from masam_jax.data.own.columns import Columns
from masam_jax.data.own.folder import locate, read_columns
from masam_jax.data.own.infer import LABELS
from masam_jax.data.own.labels import new_labels, read_targets
from masam_jax.data.own.new_rows import new_rows, recipe_of_arrays
from masam_jax.data.own.recipe import Recipe
from masam_jax.data.raw_inputs import check_inputs, slices
from masam_jax.training.published_files import published_files
from masam_jax.training.saved_model import SavedModel
from masam_jax.training.storage.recipe_file import saved_recipe

_KEY = "key"


@dataclasses.dataclass(frozen=True, eq=False)
class InputFiles:
    """The samples of a list.

    Attributes:
      columns: what the list holds.
      keys: names of the samples; None where they have none.
      parts: so many samples at a time, as a data set's are, not standardised, and how many of them
        count; it decodes them when it comes to them, where they are a published data set's.
    """

    columns: Columns
    keys: tuple[str, ...] | None
    parts: Callable[[int], Iterator[tuple[Batch, int]]]
    _model: SavedModel
    _recipe: Recipe | None

    def labels(self, column: str | None = None) -> np.ndarray:
        """int32 ``[n]``, the classes, or zeros and ones, or targets float64, ``[n, K]``.

        Args:
          column: that has them; the one that the run's were in, or one that is called ``label``,
            when None.

        Raises:
          ValueError: there is no such column, or it holds a class that the run does not know.
        """
        facts, recipe = self._model.facts, self._recipe
        names = (column,) if column is not None else () if recipe is None else recipe.label
        if not names and (facts.multi_label or (len(facts.classes) > 1 and facts.is_regression)):
            names = facts.classes
        if not names:
            names = tuple(name for name in LABELS if name in self.columns.arrays)[:1]
        if absent := [name for name in names or LABELS[:1] if name not in self.columns.arrays]:
            raise ValueError(
                f"{self.columns.source}:"
                f" {unknown(self.columns.noun, absent[0], self.columns.arrays)};"
                ' name the one that has the classes: --label COLUMN, label="COLUMN" in Python'
            )
        if facts.is_regression:
            return read_targets(self.columns, names, facts.classes)[0]
        return new_labels(self.columns, names, facts.classes, facts.multi_label)


def open_files(model: SavedModel, place: str, inputs: InputConfig) -> InputFiles:
    """Opens a list of samples for a run.

    Args:
      model: the run's.
      place: a table, an ``.npz`` file, or a folder, as data of one's own are.
      inputs: where prepared data are, and how many threads decode.

    Raises:
      RunError: the run does not know what its columns were.
      ValueError: there is no such file, it is damaged, lacks a column or a file, or a sample is not
        as the run's were; the message names file, row and column.
    """
    columns = read_columns(locate(Path(place).expanduser()).place)
    facts, recipe = model.facts, saved_recipe(model.root)
    spec = model.experiment.data.dataset
    parts = None
    if not spec.startswith(IN_MEMORY):
        dataset = parse_dataset(spec)
        if is_own(dataset.name) and not is_function(dataset.name) and recipe is None:
            raise RunError(
                f"{model.root} does not know what its columns were: it is of an older version;"
                " train it anew, or give arrays in Python: load_predictor(RUN)(arrays)"
            )
        if is_published(dataset.name) and not columns.source.lower().endswith(".npz"):
            parts = published_files(dataset, model.root, columns, facts.modalities, inputs)
    if parts is None:
        parts = _in_memory(model, columns, recipe or recipe_of_arrays(columns, facts.modalities))
    return InputFiles(columns, _keys(columns, recipe), parts, model, recipe)


def _in_memory(
    model: SavedModel, columns: Columns, recipe: Recipe
) -> Callable[[int], Iterator[tuple[Batch, int]]]:
    specs, corruption = model.facts.modalities, model.experiment.corruption
    lacks = bool(model.facts.has_missing or corruption.missing or corruption.missing_at_test)
    rows = new_rows(columns, recipe, specs, lacks)
    try:
        samples = check_inputs(rows.inputs, specs, rows.present, lacks)
    except ValueError as error:
        raise ValueError(f"{columns.source}: {error}") from error
    return functools.partial(slices, samples)


def _keys(columns: Columns, recipe: Recipe | None) -> tuple[str, ...] | None:
    name = _KEY if recipe is None or recipe.key is None else recipe.key
    if name not in columns.arrays:
        return None
    return tuple(str(key) for key in columns.require_complete(name, "a name").tolist())
