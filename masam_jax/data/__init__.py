"""Multimodal data: what ships with the package, splits, standardisation and batches.

Everything is deterministic, works offline and never imports TensorFlow.
"""

from masam_jax.core.extras import needs

with needs("masam_jax.data", "train"):
    from masam_jax.data.in_memory import MultimodalData
    from masam_jax.data.loading import load_dataset
    from masam_jax.data.mfeat import load_mfeat
    from masam_jax.data.modality import Modality, Normalization
    from masam_jax.data.row_order import index_batches
    from masam_jax.data.shipped import dataset_names
    from masam_jax.data.splits import SPLIT_RULE, Split, hold_out, make_split, split_digest
    from masam_jax.data.standardization import feature_statistics, standardize
    from masam_jax.data.synthetic import SyntheticConfig, make_synthetic

__all__ = [
    "SPLIT_RULE",
    "Modality",
    "MultimodalData",
    "Normalization",
    "Split",
    "SyntheticConfig",
    "dataset_names",
    "feature_statistics",
    "hold_out",
    "index_batches",
    "load_dataset",
    "load_mfeat",
    "make_split",
    "make_synthetic",
    "split_digest",
    "standardize",
]
