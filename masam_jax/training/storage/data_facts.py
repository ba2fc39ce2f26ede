"""What a run keeps of its data set, so that its network can be made without the data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from masam_jax.config.errors import RunError
from masam_jax.data import Modality, Normalization
from masam_jax.data.modality import check_modality
from masam_jax.data.on_disk import Data
from masam_jax.training.storage.sealed_files import read_sealed_json, write_sealed_json

DATA_FILE = "data.json"


@dataclasses.dataclass(frozen=True)
class DataFacts:
    """A data set without its samples.

    Attributes:
      name: of the data set.
      classes: names of the C classes, or of the K labels or targets; their numbers where they have
        no names.
      multi_label: whether a sample has K labels of zero or one, rather than one class.
      metric: what results are measured in, a name of ``masam_jax.training.classification_metrics``.
      has_missing: whether samples may lack a modality.
      modalities: modality -> what its samples look like, sorted.
      is_regression: whether a sample has K numbers for targets.
    """

    name: str
    classes: tuple[str, ...]
    multi_label: bool
    metric: str
    has_missing: bool
    modalities: Mapping[str, Modality]
    is_regression: bool = False


def facts_of(data: Data) -> DataFacts:
    """The facts of a data set."""
    return DataFacts(
        data.name,
        data.class_names,
        data.multi_label,
        data.metric,
        data.has_missing,
        dict(sorted(data.modality_specs.items())),
        data.is_regression,
    )


def write_facts(root: Path, data: Data) -> None:
    """Writes the run's ``data.json``.

    Raises:
      OSError: it cannot be written.
    """
    write_sealed_json(root / DATA_FILE, facts_as_json(facts_of(data)))


def facts_as_json(facts: DataFacts) -> dict[str, Any]:
    """Facts as plain values; `facts_from_json` is the inverse."""
    content = {field.name: getattr(facts, field.name) for field in dataclasses.fields(facts)}
    content["modalities"] = {
        m: {**dataclasses.asdict(spec), "dtype": np.dtype(spec.dtype).name}
        for m, spec in facts.modalities.items()
    }
    return content


def read_facts(root: Path) -> DataFacts:
    """What `write_facts` wrote.

    Raises:
      RunError: the file is damaged or missing.
    """
    path = root / DATA_FILE
    if not path.is_file():
        raise RunError(f"{root} has no {DATA_FILE}: the run was stopped before it trained")
    names = [field.name for field in dataclasses.fields(DataFacts)]
    return facts_from_json(path, read_sealed_json(path, names, {"is_regression": False}))


def facts_from_json(path: Path, content: Mapping[str, Any]) -> DataFacts:
    """The inverse of `facts_as_json`.

    Args:
      path: the file that they are from, for errors.
      content: the values.

    Raises:
      RunError: they are not what a data set can be.
    """
    try:
        for name, kind in _KINDS.items():
            _need(type(content[name]) is kind, f"{name} is no {kind.__name__}")
        _need(len(content["modalities"]) > 0, "it has no modality")
        _need(_are_text(content["classes"]), "classes are not names")
        modalities = {m: _modality(m, entry) for m, entry in content["modalities"].items()}
        return DataFacts(
            **{**content, "classes": tuple(content["classes"]), "modalities": modalities}
        )
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise RunError(f"{path} is damaged: {error}") from error


# What JSON makes of the fields.
_KINDS = {
    "name": str,
    "classes": list,
    "multi_label": bool,
    "metric": str,
    "has_missing": bool,
    "modalities": dict,
    "is_regression": bool,
}


def _need(is_right: bool, what: str) -> None:
    if not is_right:
        raise ValueError(what)


def _are_text(values: list[Any]) -> bool:
    return bool(values) and all(type(value) is str for value in values)


def _modality(name: str, entry: Mapping[str, Any]) -> Modality:
    normalization = entry["normalization"]
    spec = Modality(
        entry["kind"],
        tuple(entry["shape"]),
        np.dtype(str(entry["dtype"])),
        Normalization(
            normalization["rule"], tuple(normalization["mean"]), tuple(normalization["std"])
        ),
        entry["vocabulary_size"],
    )
    check_modality(name, spec)
    return spec
