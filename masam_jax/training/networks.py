"""The network that a configuration asks for, on the modalities of a data set."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from masam_jax.config import ModelConfig, by_modality
from masam_jax.core.specs import unknown
from masam_jax.core.target_losses import TargetError
from masam_jax.data import Modality
from masam_jax.models import EarlyFusionNetwork, LateFusionNetwork
from masam_jax.models.encoders import EncoderSize, SampleShape, make_encoder, make_tokenizer
from masam_jax.training.own_network import own_network

_DTYPES = {"float32": None, "bfloat16": jnp.bfloat16}

InitEncoders = Callable[[Any, Any], tuple[Any, Any]]


def build_network(
    specs: Mapping[str, Modality],
    num_classes: int,
    multi_label: bool,
    config: ModelConfig,
    fusion: str,
    regression: TargetError | None = None,
) -> LateFusionNetwork:
    """Encoders by the kind of each modality's samples, or as the configuration names them.

    Args:
      specs: modality -> what its samples look like.
      num_classes: C, or the number of labels or of targets K.
      multi_label: whether samples have several labels.
      config: architecture, encoders and their sizes.
      fusion: the fusion head of late fusion.
      regression: of targets, the error that is the loss; None for classes and labels.

    Raises:
      ValueError: an encoder that is unknown or does not take such samples, a modality that the data
        do not have, or sizes that do not fit.
    """
    if config.network is not None:
        return own_network(specs, num_classes, multi_label, config, fusion, regression)
    dtype = _DTYPES[config.dtype]
    shapes = {m: SampleShape(s.kind, s.shape, s.vocabulary_size) for m, s in specs.items()}
    asked = check_known("encoders", config.encoders, specs)
    if config.architecture != "late_fusion":
        if asked or config.weights:
            raise ValueError(
                f"architecture={config.architecture!r} has tokenizers and one transformer; encoders"
                " and weights belong to late_fusion."
            )
        tokenizers = {m: make_tokenizer(m, s, config.width, dtype) for m, s in shapes.items()}
        return EarlyFusionNetwork(
            tokenizers,
            num_classes,
            width=config.width,
            depth=config.depth,
            shared_backbone=config.architecture == "shared_backbone",
            multi_label=multi_label,
            regression=regression,
            dtype=dtype,
        )
    size = EncoderSize(config.width, config.depth, config.dropout, dtype)
    made = {m: make_encoder(m, sample, size, asked.get(m)) for m, sample in shapes.items()}
    return LateFusionNetwork(
        {m: factory for m, (factory, _) in made.items()},
        {m: width for m, (_, width) in made.items()},
        num_classes,
        fusion=fusion,
        multi_label=multi_label,
        regression=regression,
        dtype=dtype,
    )


def pretrained(config: ModelConfig, specs: Mapping[str, Modality]) -> InitEncoders | None:
    """Puts imported weights into fresh parameters; None where none are asked for.

    Args:
      config: names the files.
      specs: modality -> what its samples look like.

    Returns:
      A function ``(params, statistics) -> (params, statistics)`` of one seed, to be jitted or
      mapped at will.

    Raises:
      ValueError: a modality that the data do not have, or an encoder without importer; in the
        function, a file that is missing, damaged, or does not fit.
    """
    files = check_known("weights", config.weights, specs)
    if not files:
        return None
    names = {m: entry.partition(":")[0] for m, entry in by_modality("", config.encoders).items()}
    loaders = {m: partial(_loader(m, names.get(m, "")), path) for m, path in files.items()}

    def load(params: Any, statistics: Any) -> tuple[Any, Any]:
        params = {**params, "encoders": dict(params["encoders"])}
        statistics = dict(statistics)
        for m, loader in loaders.items():
            try:
                encoder, running = loader(params["encoders"][m], statistics.get(m, {}))
            except ValueError as error:
                raise ValueError(f"weights of {m!r}: {error}") from error
            params["encoders"][m] = encoder
            if running:
                statistics[m] = running
        return params, statistics

    return load


def _loader(modality: str, encoder: str) -> Callable[[str, Any, Any], tuple[Any, Any]]:
    if encoder.startswith("resnet"):
        from masam_jax.models.weights.resnet_weights import load_resnet_weights

        return load_resnet_weights
    if encoder == "text_transformer":
        from masam_jax.models.weights.bert_weights import load_bert_weights

        return lambda path, params, statistics: (load_bert_weights(path, params), statistics)
    raise ValueError(
        f"weights name {modality!r}, whose encoder is {encoder or 'the default one'}; resnet18,"
        " resnet34, resnet50 and text_transformer, named in encoders, take weights."
    )


def check_known(name: str, entries: tuple[str, ...], known: Collection[str]) -> dict[str, str]:
    """``MODALITY=VALUE`` entries as a dict.

    Args:
      name: of the option.
      entries: its values.
      known: the modalities of the data.

    Raises:
      ValueError: an entry has another form, or names a modality twice or one that is unknown.
    """
    found = by_modality(name, entries)
    for modality in found:
        if modality not in known:
            raise ValueError(f"{name}: {unknown('modality', modality, known)}")
    return found


def apply_pretrained(load: InitEncoders | None, params: Any, statistics: Any) -> tuple[Any, Any]:
    """Parameters and statistics of S seeds, with imported encoders where there are any."""
    return (params, statistics) if load is None else jax.vmap(load)(params, statistics)
