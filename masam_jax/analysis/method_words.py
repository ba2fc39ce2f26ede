"""What the methods of a report are, in words, and what the options in their names do."""

import dataclasses
import inspect
import re
from collections.abc import Iterable
from typing import Any

from masam_jax.core.specs import changed_options, write_value
from masam_jax.methods import BoundMethod, parse_method

# What the docstring of the options says in general, said of one value.
_OF_VALUE = {
    ("select", "all"): (
        "every encoder is perturbed in every step, each along its own gradient and scaled by its "
        "own γ; no modality is dominant"
    ),
    ("select", "random"): "the encoder that is perturbed is drawn at random in every step",
    ("select", "soft"): (
        "every encoder is perturbed in every step, the more the higher its score: the radius times "
        "w = exp((S - max S) / τ)"
    ),
    ("select", "weakest"): "the encoder of the lowest score is perturbed",
    ("select", "lowest_loss"): (
        "the encoder with the lowest unimodal loss on the batch is perturbed"
    ),
    ("select", "highest_loss"): (
        "the encoder with the highest unimodal loss on the batch is perturbed"
    ),
    ("select", "held_out"): (
        "the encoder with the lowest unimodal loss on held-out training samples is perturbed"
    ),
    ("decay", "relative"): "the learning speed in the score is a share of the loss, Decay / MA",
    ("decay", "standardized"): (
        "both terms of the score are over their own running root mean square"
    ),
    ("scale_by_alignment", "false"): (
        "γ:=1, the perturbation is not scaled by the alignment: the ablation without MDPS"
    ),
    ("radius", "relative"): "ρ is relative to the norm of the encoder's parameters",
    ("radius", "filter"): (
        "ρ is relative to the norm of each filter, by ASAM's operator within the encoder"
    ),
    ("correct_other", "true"): (
        "head corrected, the fusion head takes its gradient at the perturbed point too"
    ),
}

_SELECTED = {
    "dominant": "perturbs the dominant encoder alone",
    "all": "perturbs every encoder in every step",
    "random": "perturbs an encoder that is drawn at random",
    "soft": "perturbs every encoder in every step, the more the higher its score",
    "weakest": "perturbs the encoder of the lowest score",
    "lowest_loss": "perturbs the encoder with the lowest unimodal loss",
    "highest_loss": "perturbs the encoder with the highest unimodal loss",
    "held_out": "perturbs the encoder with the lowest loss on held-out training samples",
}


def method_summary(spec: str) -> str:
    """What a method does, in a line; empty for one that is not known here.

    Examples:
      >>> method_summary("masam:select=all")
      'Modality-aware SAM: perturbs every encoder in every step'
    """
    method = _known(spec)
    if method is None:
        return ""
    summary = method.method.summary
    select = dict(changed_options(method.options)).get("select")
    if method.name in ("masam", "recommended") and select is not None:
        perturbed = _SELECTED.get(select, f"perturbs the encoder of {select} alone")
        summary = f"{summary.partition(':')[0]}: {perturbed}"
    return summary[:1].upper() + summary[1:]


def option_words(specs: Iterable[str]) -> dict[str, str]:
    """What the options do that differ from their defaults in any of the specifications.

    Args:
      specs: of all methods of a report.

    Returns:
      The option, or option and value, by what it does; each once, in the order of the methods.
    """
    words: dict[str, str] = {}
    for method in filter(None, map(_known, specs)):
        described = _descriptions(type(method.options))
        for name, value in changed_options(method.options):
            text = write_value(value)
            if (name, text) in _OF_VALUE:
                words[f"{name}={text}"] = _OF_VALUE[name, text]
            elif name in described:
                words.setdefault(name, described[name])
    return words


def reported_words(spec: str) -> dict[str, str]:
    """What a method reports of its steps, name -> what it is; empty for one not known here.

    Examples:
      >>> reported_words("g_blend:super_epoch=5")
      {'loss_weight': 'w, the weight of the loss; all of them add up to 1'}
    """
    method = _known(spec)
    return {} if method is None else dict(method.method.reports)


def _known(spec: str) -> BoundMethod | None:
    try:
        return parse_method(spec)
    except ValueError:
        return None


def _descriptions(options: type[Any]) -> dict[str, str]:
    """Field -> what the docstring of a dataclass of options, or of the one it extends, says."""
    documented = (inspect.cleandoc(each.__doc__ or "") for each in options.__mro__)
    text = next((t for t in documented if "Attributes:\n" in t), "").partition("Attributes:\n")[2]
    names = "|".join(field.name for field in dataclasses.fields(options))
    entry = re.compile(rf"^  ({names}): (.*?)(?=^  \S|^\S|\Z)", flags=re.DOTALL | re.MULTILINE)
    return {
        name: " ".join(words.split()).rstrip(".").replace("``", "")
        for name, words in entry.findall(text)
    }
