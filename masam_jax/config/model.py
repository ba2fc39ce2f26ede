"""The network."""

import dataclasses
from collections.abc import Collection
from typing import Literal

from masam_jax.core.specs import Options, option


@dataclasses.dataclass(frozen=True)
class ModelConfig(Options):
    """The network: an encoder for each modality, and a fusion head."""

    width: int = option(32, "[1, inf)")
    """Size of each encoder's features, and hidden units of those that choose them freely."""
    depth: int = option(2, "[1, 1000]")
    """Layers of those encoders that may have any number of them."""
    encoders: tuple[str, ...] = ()
    """Encoders, each as MODALITY=NAME[:OPTION=VALUE,...]; by the kind of the samples when left out.
    Names: mlp, ffn, conv, resnet18, resnet34, resnet50, vision_transformer, transformer,
    conv_transformer, text_transformer."""
    weights: tuple[str, ...] = ()
    """Files of pretrained encoders, each as MODALITY=PATH.safetensors, with the names of timm or
    Hugging Face."""
    architecture: Literal["late_fusion", "early_fusion", "shared_backbone"] = "late_fusion"
    """Late fusion of encoders; one transformer over the tokens of all modalities; or one
    transformer that every modality passes by itself."""
    dropout: float = option(0.0, "[0, 1)")
    """Dropout rate, in the encoders that have dropout."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Precision of the computation; parameters, losses and scores stay float32."""
    remat: bool = False
    """Compute each encoder's activations again in the pass backwards, which saves memory and costs
    time; the numbers are the same, but for rounding."""
    fusion: Literal["concat", "sum", "film", "gated", "attention"] = "concat"
    """Fusion head, for the methods that do not name their own."""
    network: str | None = None
    """Network of one's own in the place of all of these, as package.module:function; the function
    takes the modalities and the number of classes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("encoders", "weights"):
            by_modality(name, getattr(self, name))
        if self.remat and self.architecture != "late_fusion":
            raise ValueError(
                f"remat computes encoders again, and architecture={self.architecture} has its"
                " layers in one transformer after them; late_fusion is accepted"
            )

    def of_modalities(self, chosen: Collection[str]) -> "ModelConfig":
        """The same without encoders and weights of other modalities."""
        encoders, weights = (
            tuple(entry for entry in entries if entry.partition("=")[0] in chosen)
            for entries in (self.encoders, self.weights)
        )
        return dataclasses.replace(self, encoders=encoders, weights=weights)


def by_modality(name: str, entries: tuple[str, ...]) -> dict[str, str]:
    """``MODALITY=VALUE`` entries as a dict.

    Raises:
      ValueError: an entry has another form, or names a modality twice.
    """
    found: dict[str, str] = {}
    for entry in entries:
        modality, equals, value = entry.partition("=")
        if not equals or not modality or not value:
            raise ValueError(f"{name}: {entry!r} is not of the form MODALITY=VALUE")
        if modality in found:
            raise ValueError(f"{name}: modality {modality!r} is given twice")
        found[modality] = value
    return found
