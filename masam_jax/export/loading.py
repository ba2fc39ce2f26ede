"""An exported network, read back: `Prediction` from arrays, as the run itself would predict."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import export

from masam_jax.config.errors import RunError
from masam_jax.data.raw_inputs import check_inputs
from masam_jax.export.export_files import EXPORT_FORMAT, METADATA_FILE, PROGRAM_FILE
from masam_jax.predict import Prediction
from masam_jax.training.storage.data_facts import DataFacts, facts_from_json
from masam_jax.training.storage.sealed_files import read_sealed_json


class ExportedPredictor:
    """The networks of an export; made by `load_exported`.

    Attributes:
      method: specification of the method.
      seeds: its seeds, in the order of ``by_seed``.
      modalities: modality -> kind, shape and dtype of its samples.
      classes: names of the C classes, or of the K labels or targets.
      platforms: where the program runs.
      program: the function itself, of ``inputs`` and ``present``, for ``jit`` and ``vmap``.
    """

    def __init__(self, program: export.Exported, facts: DataFacts, content: Mapping[str, Any]):
        self.method: str = content["method"]
        self.seeds: tuple[int, ...] = tuple(content["seeds"])
        self.platforms: tuple[str, ...] = tuple(content["platforms"])
        self.modalities = facts.modalities
        self.classes = facts.classes
        self.program = program.call
        self._compiled = jax.jit(program.call)
        self._facts = facts
        self._may_lack: bool = content["may_lack"]

    def __call__(
        self, inputs: Mapping[str, Any], *, present: Mapping[str, Any] | None = None
    ) -> Prediction:
        """Predicts any number n of samples; a program is compiled for each n.

        Args:
          inputs: as of `masam_jax.predict.Predictor`.
          present: likewise.

        Raises:
          ValueError: inputs that are not as `modalities` says.
        """
        samples = check_inputs(inputs, self.modalities, present, self._may_lack)
        found = jax.device_get(self._compiled(samples.inputs, samples.present))
        exact = np.float64 if self._facts.is_regression else np.float32
        return Prediction(
            self.classes,
            found["by_seed"].astype(exact),
            {m: own.astype(exact) for m, own in found["unimodal"].items()},
            self._facts.multi_label,
            logits=found["logits"],
            is_regression=self._facts.is_regression,
        )


def load_exported(place: str | os.PathLike[str]) -> ExportedPredictor:
    """Reads what `export_run` wrote; the run is not needed.

    Args:
      place: the directory.

    Raises:
      RunError: it is not there, damaged, of a JAX that this one cannot read, or not for the
        platform at hand.
    """
    path = Path(place)
    if not (path / METADATA_FILE).is_file():
        raise RunError(f"{path} has no {METADATA_FILE}; expected what masam export wrote")
    content = read_sealed_json(path / METADATA_FILE)
    if content.get("format") != EXPORT_FORMAT:
        raise RunError(
            f"{path / METADATA_FILE} has the format {content.get('format')!r}; expected"
            f" {EXPORT_FORMAT!r}"
        )
    facts = facts_from_json(path / METADATA_FILE, content["data"])
    program = _read_program(path / PROGRAM_FILE, content["program"])
    here = export.default_export_platform()
    if here not in program.platforms:
        raise RunError(
            f"{path} was exported for {', '.join(program.platforms)}; this is {here}: export it"
            f" with --platforms {here}"
        )
    return ExportedPredictor(program, facts, content)


def _read_program(path: Path, digest: str) -> export.Exported:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RunError(f"{path} is damaged or missing: {error}") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise RunError(
            f"{path} is damaged: its content has not the digest that {METADATA_FILE} names"
        )
    try:
        return export.deserialize(bytearray(content))
    except Exception as error:  # The versions of JAX and of StableHLO raise each in their own way.
        raise RunError(f"{path} cannot be read by jax {jax.__version__}: {error}") from error
