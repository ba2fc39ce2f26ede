"""What answers a finding, and the command to try it."""

from __future__ import annotations

import dataclasses
import shlex
from typing import Any

from masam_jax.config import Experiment
from masam_jax.config.published import own_settings, settings_of
from masam_jax.core.specs import write_value
from masam_jax.data.dataset_spec import is_own
from masam_jax.diagnosis.conclusions import MARGIN, Diagnosis, Remedy
from masam_jax.diagnosis.observations import ALONE, JOINT

# Beside late fusion: what each does for an encoder that gets too little of the gradient.
_OF_DROWNED = {
    "late_fusion": "a loss of its own for every encoder, beside the fusion loss",
    "recommended": "perturbs every encoder by a share of its norm; nothing to tune",
    "masam:rho=12": "perturbs the dominant encoder alone; masam tune finds the radius",
    "ogm_ge": "slows the encoder that is ahead, by how sure it is",
    "agm": "slows it by its share of the answer, of Shapley values",
    "mmpareto": "one direction that serves the fusion loss and every modality's own",
    "mla": "one modality after the other, so that none waits for another",
}
_OWN_HEADS = "late_fusion:predict=mean"
_OF_WORSE = {
    ALONE: "the average of the modalities trained alone, which needs no joint training",
    _OWN_HEADS: "the average of what each modality's head says, trained jointly",
    "late_fusion": _OF_DROWNED["late_fusion"],
    "mla": _OF_DROWNED["mla"],
}
# Heads whose logits are a sum of what each modality says.
_ADDITIVE = ("concat", "sum")


def remedies_of(found: Diagnosis, experiment: Experiment) -> tuple[Remedy, ...]:
    """The methods that answer what was found, the likeliest first; none where nothing is wrong.

    Args:
      found: a diagnosis, without verdict and remedies.
      experiment: what was trained; the commands train the same.
    """
    if not found.is_anything_wrong:
        return ()
    if not found.seeds or found.diverged:
        rate = float(f"{experiment.optimization.learning_rate / 10:.3g}")
        slower = _changed(experiment, "optimization", learning_rate=rate)
        name, why = f"--learning-rate {write_value(rate)}", "seeds diverged"
        return (Remedy(name, why, _command("diagnose", (), slower)),)
    methods: dict[str, str] = {}
    if found.drowned:
        methods |= _OF_DROWNED
    if found.fusion_is_worse:
        methods = _of_worse(found) | methods
    remedies = _of_silent(found, experiment) if found.fusion_is_worse else []
    remedies += [
        Remedy(spec, why, _command("compare", dict.fromkeys((JOINT, spec)), experiment))
        for spec, why in methods.items()
    ]
    if not found.informative and found.fusion.joint <= found.chance + MARGIN:
        remedies += _of_nothing_learned(experiment)
    return tuple(remedies)


def _of_worse(found: Diagnosis) -> dict[str, str]:
    """Averages only where one is ahead; the best modality where the rest says nothing."""
    fusion, methods = found.fusion, dict(_OF_WORSE)
    if fusion.mean_of_alone <= fusion.joint + MARGIN:
        del methods[ALONE], methods[_OWN_HEADS]
    if fusion.best_alone > fusion.mean_of_alone:
        alone = f"{ALONE}:predict={fusion.best}"
        methods = {alone: f"{fusion.best} by itself, without the others"} | methods
    return methods


def _of_silent(found: Diagnosis, experiment: Experiment) -> list[Remedy]:
    """The rest of the modalities, where some say nothing and there are two others at least."""
    rest = found.informative
    if len(rest) < 2 or len(rest) == len(found.modalities):
        return []
    without = _changed(experiment, "data", modalities=rest)
    name, why = f"--modalities {' '.join(rest)}", "the others say nothing alone"
    return [Remedy(name, why, _command("diagnose", (), without))]


def _of_nothing_learned(experiment: Experiment) -> list[Remedy]:
    if experiment.model.fusion not in _ADDITIVE:
        return []
    why = f"{experiment.model.fusion} adds what the modalities say; this head multiplies it"
    return [
        Remedy(
            f"--fusion {head}",
            why,
            _command("diagnose", (), _changed(experiment, "model", fusion=head)),
        )
        for head in ("film", "gated")
    ]


def _changed(experiment: Experiment, section: str, **changes: Any) -> Experiment:
    changed = dataclasses.replace(getattr(experiment, section), **changes)
    return dataclasses.replace(experiment, **{section: changed})


def _command(name: str, methods: Any, experiment: Experiment) -> str:
    words = ["masam", name, *(["--methods", *methods] if methods else [])]
    return shlex.join([*words, *options_in_words(experiment)])


def options_in_words(experiment: Experiment) -> list[str]:
    """What has to be typed for an experiment, beside what its data set has for defaults.

    Examples:
      >>> from masam_jax.config import DataConfig
      >>> options_in_words(Experiment(data=DataConfig("synthetic", train_size=None)))
      ['--dataset', 'synthetic', '--train-size', 'none']
    """
    dataset = experiment.data.dataset
    settings = own_settings(dataset) if is_own(dataset) else settings_of(dataset)
    default = Experiment() if settings is None else settings.experiment
    words = ["--dataset", dataset]
    for section in dataclasses.fields(experiment):
        asked, usual = getattr(experiment, section.name), getattr(default, section.name)
        for field in dataclasses.fields(asked):
            value = getattr(asked, field.name)
            if field.name != "dataset" and value != getattr(usual, field.name):
                words += _in_words(field.name.replace("_", "-"), value)
    return words


def _in_words(name: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    if isinstance(value, tuple):
        return [f"--{name}", *map(str, value)]
    return [f"--{name}", write_value(value)]
