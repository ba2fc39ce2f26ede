"""A run's network, with what comes before and after it, as a program for several backends."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import export
from jax.errors import InconclusiveDimensionOperation

from masam_jax.config.errors import RunError
from masam_jax.core.specs import unknown
from masam_jax.export.export_files import EXPORT_FORMAT, METADATA_FILE, PROGRAM_FILE
from masam_jax.predict import Predictor, load_predictor
from masam_jax.training.evaluate import Which
from masam_jax.training.storage.atomic_files import write_bytes
from masam_jax.training.storage.data_facts import facts_as_json
from masam_jax.training.storage.sealed_files import write_sealed_json

PLATFORMS = ("cpu", "cuda", "tpu")
"""What a program is made for by default; ``rocm`` is accepted, too."""


def export_run(
    run: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    method: str | None = None,
    checkpoint: Which | None = None,
    seeds: Sequence[int] | None = None,
    platforms: Sequence[str] = PLATFORMS,
    fall_back: bool = False,
) -> Path:
    """Writes ``program.jax`` and ``metadata.json``.

    The program takes any number n of samples, as the data set gives them, and standardises them
    itself. ``jax.export.deserialize`` reads it; it is a function of two arguments, ``inputs`` and
    ``present``, as those of `Predictor`, but that each names every modality. It returns a dict:
    ``probabilities`` float32 ``[n, C]``, the mean over the seeds, ``by_seed`` ``[S, n, C]``,
    ``unimodal`` ``{m: [S, n, C]}`` and ``logits`` ``[S, n, C]``; of regression, estimates in the
    targets' units stand for probabilities.

    Args:
      run: as for `load_predictor`, and so ``method``, ``checkpoint``, ``seeds`` and ``fall_back``.
      output: directory for the two files, made if need be; those that are there are replaced.
      method: of a comparison.
      checkpoint: ``"last"`` or ``"best"``; by default the one that the run reported.
      seeds: some of the run's seeds; all of them by default.
      platforms: some of cpu, cuda, rocm and tpu, none of which has to be at hand.
      fall_back: where the last checkpoint is damaged, whether to take the last whole one.

    Returns:
      The directory.

    Raises:
      RunError: as `load_predictor`; also an unknown platform, or a network that takes batches of
        one size alone.
      OSError: the files could not be written.
    """
    asked = _checked(platforms)
    # Predictions do not depend on the size of the batch that a predictor would take.
    predictor = load_predictor(
        run, method=method, checkpoint=checkpoint, seeds=seeds, fall_back=fall_back
    )
    program = bytes(_exported(predictor, asked).serialize())
    place = Path(output)
    place.mkdir(parents=True, exist_ok=True)
    best = (checkpoint or predictor.model.experiment.evaluation.report) == "best"
    write_bytes(place / PROGRAM_FILE, program)
    write_sealed_json(
        place / METADATA_FILE,
        {
            "format": EXPORT_FORMAT,
            "run": str(run),
            "method": predictor.method,
            "seeds": list(predictor.seeds),
            "checkpoint": "best" if best else "last",
            "data": facts_as_json(predictor.model.facts),
            "may_lack": predictor.may_lack,
            "platforms": list(asked),
            "jax": jax.__version__,
            "program": hashlib.sha256(program).hexdigest(),
        },
    )
    return place


def _checked(platforms: Sequence[str]) -> tuple[str, ...]:
    accepted = ("cpu", "cuda", "rocm", "tpu")
    for name in platforms:
        if name not in accepted:
            raise RunError(unknown("platform", name, accepted))
    if not platforms:
        raise RunError(f"platforms are missing; some of {', '.join(accepted)} are needed")
    return tuple(dict.fromkeys(platforms))


def _exported(predictor: Predictor, platforms: Sequence[str]) -> export.Exported:
    (count,) = export.symbolic_shape("n")

    def samples(like: np.ndarray) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((count, *like.shape), like.dtype)

    inputs = {m: jax.tree.map(samples, spec.template) for m, spec in predictor.modalities.items()}
    present = {m: jax.ShapeDtypeStruct((count,), np.bool_) for m in inputs}

    def predict(inputs: Any, present: Any) -> dict[str, Any]:
        fused, unimodal, logits = predictor.traced(inputs, present)
        return {
            "probabilities": fused.mean(axis=0),
            "by_seed": fused,
            "unimodal": unimodal,
            "logits": logits,
        }

    try:
        return export.export(jax.jit(predict), platforms=platforms)(inputs, present)
    except InconclusiveDimensionOperation as error:
        reason = str(error).strip().partition("\n")[0]
        raise RunError(
            f"the network cannot be exported for batches of any size ({reason}); what its encoders"
            " do must not depend on the number of samples"
        ) from error
