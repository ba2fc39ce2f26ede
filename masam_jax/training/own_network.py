"""``--network package.module:function``: a network of the user's own."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from masam_jax.config import ModelConfig
from masam_jax.core.random_keys import seed_key
from masam_jax.core.target_losses import TargetError
from masam_jax.core.user_code import call_function, import_function
from masam_jax.data import Modality
from masam_jax.models import LateFusionNetwork

_INSTEAD = ("width", "depth", "encoders", "weights", "architecture", "dropout", "dtype")


def own_network(
    specs: Mapping[str, Modality],
    num_classes: int,
    multi_label: bool,
    config: ModelConfig,
    fusion: str,
    regression: TargetError | None = None,
) -> LateFusionNetwork:
    """Calls the user's function, and sees that its network takes such samples.

    ``function(specs, num_classes)`` returns a `LateFusionNetwork`. Where it has parameters
    ``fusion``, ``multi_label`` or ``regression`` it gets these too; data with several labels a
    sample, methods with a fusion head of their own, and regression need them.

    Args:
      specs: modality -> what its samples look like.
      num_classes: C, or the number of labels or of targets K.
      multi_label: whether samples have several labels.
      config: names the function; its other fields but ``fusion`` have no meaning then.
      fusion: name of the fusion head that the method asks for.
      regression: of targets, the error that is the loss; None for classes and labels.

    Raises:
      ValueError: there is no such function, it fails, returns anything else, or its network does
        not map such samples to logits.
    """
    place = str(config.network)
    changed = [n for n in _INSTEAD if getattr(config, n) != getattr(ModelConfig(), n)]
    if changed:
        raise ValueError(
            f"{changed[0]}={getattr(config, changed[0])!r} has no meaning with network={place};"
            " leave it out"
        )
    function = import_function(place)
    known = inspect.signature(function).parameters
    named = {"fusion": fusion, "multi_label": multi_label, "regression": regression}
    if multi_label and "multi_label" not in known:
        raise ValueError(
            f"the data have several labels a sample, and network={place} no parameter multi_label"
        )
    if regression is not None and "regression" not in known:
        raise ValueError(
            f"the data are for regression, and network={place} has no parameter regression"
        )
    given = {name: value for name, value in named.items() if name in known}
    network = call_function(place, function, dict(specs), num_classes, **given)
    if not isinstance(network, LateFusionNetwork):
        raise ValueError(
            f"{place} returned a {type(network).__name__}; a masam_jax.models.LateFusionNetwork is"
            " needed, whose encoders may be of any library"
        )
    wanted = (tuple(specs), num_classes, _outputs(multi_label, regression is not None))
    outputs = _outputs(network.multi_label, network.is_regression)
    if (network.modalities, network.num_classes, outputs) != wanted:
        raise ValueError(
            f"{place}: the network has the modalities {', '.join(network.modalities)} and"
            f" {network.num_classes} {outputs}; the data have {', '.join(specs)} and {num_classes}"
            f" {wanted[-1]}"
        )
    try:
        _try(network, specs)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{place}: {error}") from error
    return network


def _outputs(multi_label: bool, is_regression: bool) -> str:
    return "targets" if is_regression else "labels" if multi_label else "classes"


def takes_fusion(place: str) -> bool:
    """Whether the function lets a method choose the fusion head.

    Raises:
      ValueError: there is no such function.
    """
    return "fusion" in inspect.signature(import_function(place)).parameters


def _try(network: LateFusionNetwork, specs: Mapping[str, Modality]) -> None:
    """A batch of two samples, without computing anything."""

    def encode() -> Any:
        params = network.init(jax.numpy.asarray(seed_key(0)))
        return params, {m: network.encode(params, m, _two(spec)) for m, spec in specs.items()}

    params, features = jax.eval_shape(encode)
    for modality, size in network.feature_sizes.items():
        found = getattr(features[modality], "shape", None)
        if found != (2, size):
            raise ValueError(
                f"the encoder of {modality!r} makes features {list(found or ())} of two samples;"
                f" [2, {size}] was declared"
            )
    logits = jax.eval_shape(network.fuse, params, features)
    if logits.shape != (2, network.num_classes):
        raise ValueError(
            f"the fusion head makes logits {list(logits.shape)} of two samples;"
            f" [2, {network.num_classes}] are needed"
        )


def _two(spec: Modality) -> Any:
    """Two samples as the network gets them: of floats, but for tokens and masks."""

    def stacked(array: np.ndarray) -> np.ndarray:
        keeps = spec.kind == "tokens" or array.dtype == np.bool_
        kept = array if keeps else array.astype(np.float32)
        return np.stack([kept, kept])

    return jax.tree.map(stacked, spec.template)
