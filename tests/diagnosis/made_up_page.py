"""A page of made-up observations and curves, which nobody trained for."""

import dataclasses
import json

import numpy as np

from masam_jax.analysis.records import read_directory
from masam_jax.config import DataConfig, Experiment
from masam_jax.diagnosis.conclusions import conclude
from masam_jax.diagnosis.observations import METHODS
from masam_jax.diagnosis.page import write_page
from masam_jax.diagnosis.remedies import remedies_of
from masam_jax.diagnosis.verdict import verdict_of
from masam_jax.training.storage.sealed_files import write_sealed_json
from tests.diagnosis.made_up import SEEDS, observations, spread


def write_made_up_page(folder, modalities=("audio", "text", "video")):
    """A diagnosis in which the last modality is drowned by the first.

    Args:
      folder: where the comparison and the page go.
      modalities: their names.
    """
    folder.mkdir(parents=True, exist_ok=True)
    last = modalities[-1]
    probe = {m: spread(0.6 if m == last else 0.8) for m in modalities}
    observed = observations(modalities, probe_joint=probe, joint=spread(0.75))
    found = conclude(observed)
    found = dataclasses.replace(
        found, remedies=remedies_of(found, Experiment(data=DataConfig("synthetic")))
    )
    found = dataclasses.replace(found, verdict=verdict_of(found))
    results = [_write_method(folder, spec, modalities) for spec in METHODS]
    write_sealed_json(
        folder / "results.json",
        {
            "dataset": "made_up",
            "metric": "accuracy",
            "baseline": METHODS[1],
            "modalities": list(modalities),
            "seeds": list(range(SEEDS)),
            "methods": results,
        },
    )
    return write_page(found, observed, read_directory(folder))


def _write_method(folder, spec, modalities):
    slug = spec.replace(":", "_").replace("=", "-")
    place = folder / "methods" / slug
    place.mkdir(parents=True)
    seeds = [0.8] * SEEDS
    with (place / "metrics.jsonl").open("w", encoding="utf-8") as file:
        for step in (10, 20, 30, 40):
            rise = np.linspace(1 - 9 / step, 1 - 8 / step, SEEDS).tolist()
            each = dict.fromkeys(modalities, rise)
            train = {"step": step, "split": "train", "fusion_loss": rise, "unimodal_loss": each}
            if spec == METHODS[2]:
                train |= dict.fromkeys(("score", "alignment", "decay", "dominant_share"), each)
            validation = {"step": step, "split": "validation", "accuracy": rise}
            for record in (train, validation | {"unimodal_accuracy": each}):
                file.write(json.dumps(record) + "\n")
    test = {"accuracy": seeds, "unimodal_accuracy": dict.fromkeys(modalities, seeds)}
    return {
        "spec": spec,
        "slug": slug,
        "title": spec,
        "seeds": list(range(SEEDS)),
        "steps": 40,
        "test": test,
        "validation": test,
    }
