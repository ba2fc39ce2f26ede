"""MASAM, multimodal adaptive sharpness-aware minimization, in JAX."""

from masam_jax.core import schedules
from masam_jax.core.gradients import multimodal_value_and_grad
from masam_jax.core.late_fusion import LateFusion
from masam_jax.core.losses import Losses, WeightedMean
from masam_jax.core.masam import MasamState, masam
from masam_jax.core.metrics import masam_metrics
from masam_jax.core.partition import label_by_path
from masam_jax.core.scores import ModalityScores
from masam_jax.methods.agm import agm
from masam_jax.methods.asam import asam
from masam_jax.methods.info_reg import info_reg
from masam_jax.methods.m_sam import m_sam
from masam_jax.methods.mmpareto import mmpareto
from masam_jax.methods.ogm_ge import ogm_ge
from masam_jax.methods.sam import SamState, sam

__version__ = "0.1.0"

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
    "mmpareto",
    "multimodal_value_and_grad",
    "ogm_ge",
    "sam",
    "schedules",
]


def __dir__() -> list[str]:
    """The public API: folders of the package are imported by their own names."""
    return sorted([*__all__, "__version__"])
