"""MASAM, multimodal adaptive sharpness-aware minimization, in JAX.

The transformation and the zoo's need no package beyond the core's. `diagnose`, `compare`, `train`,
`tune` and `open_dataset` (extras ``train`` and ``analysis``) are imported when first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from masam_jax.core import schedules
from masam_jax.core.gradients import multimodal_value_and_grad
from masam_jax.core.late_fusion import LateFusion
from masam_jax.core.losses import Losses, WeightedMean
from masam_jax.core.masam import MasamState, masam
from masam_jax.core.metrics import masam_metrics
from masam_jax.core.partition import label_by_path
from masam_jax.core.refresh import refresh_cycle
from masam_jax.core.scores import ModalityScores
from masam_jax.methods.agm import agm
from masam_jax.methods.asam import asam
from masam_jax.methods.info_reg import info_reg
from masam_jax.methods.m_sam import m_sam
from masam_jax.methods.mmpareto import mmpareto
from masam_jax.methods.ogm_ge import ogm_ge
from masam_jax.methods.recommended import recommended
from masam_jax.methods.report import method_report
from masam_jax.methods.sam import SamState, sam

if TYPE_CHECKING:
    from masam_jax.api import MultimodalData as MultimodalData
    from masam_jax.api import compare as compare
    from masam_jax.api import diagnose as diagnose
    from masam_jax.api import open_dataset as open_dataset
    from masam_jax.api import train as train
    from masam_jax.api import tune as tune

__version__ = "0.1.0"

# Not among `__all__`: to import all that is there must not need the extras.
_LAZY = ("MultimodalData", "compare", "diagnose", "open_dataset", "train", "tune")

__all__ = [
    "LateFusion",
    "Losses",
    "MasamState",
    "ModalityScores",
    "SamState",
    "WeightedMean",
    "agm",
    "asam",
    "info_reg",
    "label_by_path",
    "m_sam",
    "masam",
    "masam_metrics",
    "method_report",
    "mmpareto",
    "multimodal_value_and_grad",
    "ogm_ge",
    "recommended",
    "refresh_cycle",
    "sam",
    "schedules",
]


def __getattr__(name: str) -> Any:
    """What needs more than the core's packages, on first use."""
    if name in _LAZY:
        return getattr(importlib.import_module("masam_jax.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public API: folders of the package are imported by their own names."""
    return sorted([*__all__, *_LAZY, "__version__"])
