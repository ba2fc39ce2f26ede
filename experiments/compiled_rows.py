"""Compiled programs of training steps, kept in a file as they come."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from experiments.abstract_problem import Layout, NetworkName, Precision
from experiments.compiled_cost import CompiledCost
from masam_jax.training.storage.atomic_files import write_text


class Group(NamedTuple):
    """What rows have in common that are compared with each other.

    Attributes:
      topology: ``CHIP:SHAPE``.
      network: what the encoders are.
      modalities: how many of them.
      precision: of the computation.
      layout: of the parameters.
      batch_per_chip: samples.
    """

    topology: str
    network: NetworkName
    modalities: int
    precision: Precision
    layout: Layout
    batch_per_chip: int

    @property
    def words(self) -> str:
        """For a heading."""
        layout = {"data": "data-parallel", "fsdp": "FSDP"}[self.layout]
        return (
            f"{self.topology}, {self.network}, M = {self.modalities}, {self.precision},"
            f" {layout}, {self.batch_per_chip} samples a chip"
        )


@dataclasses.dataclass(frozen=True)
class Row:
    """A step of a group, compiled."""

    group: Group
    step: str
    cost: CompiledCost


def read_rows(path: Path, environment: dict[str, str]) -> list[Row]:
    """The rows of a file; none where there is no file.

    Args:
      path: the file.
      environment: the versions that rows must be of to be read.

    Raises:
      ValueError: the file is of other versions.
    """
    if not path.is_file():
        return []
    document = json.loads(path.read_text(encoding="utf-8"))
    if document["environment"] != environment:
        raise ValueError(
            f"{path} is of {document['environment']}, and here is {environment}: give another"
            " --output"
        )
    return rows_of(document)


def read_file(path: Path) -> list[Row]:
    """The rows of a file, of whatever versions."""
    return rows_of(json.loads(path.read_text(encoding="utf-8")))


def rows_of(document: dict[str, Any]) -> list[Row]:
    """The rows of a file's contents."""
    return [
        Row(Group(**row["group"]), row["step"], CompiledCost(**row["cost"]))
        for row in document["rows"]
    ]


def write_rows(path: Path, environment: dict[str, str], rows: Sequence[Row]) -> None:
    """Writes the file anew."""
    document = {
        "environment": environment,
        "rows": [
            {
                "group": row.group._asdict(),
                "step": row.step,
                "cost": dataclasses.asdict(row.cost),
            }
            for row in rows
        ],
    }
    write_text(path, json.dumps(document, indent=2) + "\n")
