"""Training from Python: what the command line does, as functions of the same names.

`masam_jax.diagnose`, `compare`, `train`, `tune` and `open_dataset` are these, imported late.
"""

from masam_jax.core.extras import needs

with needs("masam_jax.api", "train", "analysis"):
    from masam_jax.api.comparison import Comparison, compare
    from masam_jax.api.datasets import open_dataset
    from masam_jax.api.diagnosed import DiagnosisResults, diagnose
    from masam_jax.api.results import RunResults
    from masam_jax.api.trained import TrainedModel, train
    from masam_jax.api.tuned import TuningResults, tune
    from masam_jax.config.errors import RunError
    from masam_jax.data import MultimodalData

__all__ = [
    "Comparison",
    "DiagnosisResults",
    "MultimodalData",
    "RunError",
    "RunResults",
    "TrainedModel",
    "TuningResults",
    "compare",
    "diagnose",
    "open_dataset",
    "train",
    "tune",
]
