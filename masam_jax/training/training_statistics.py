"""What inputs are standardised by: mean and standard deviation of each seed's training samples."""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from masam_jax.config import CorruptionConfig
from masam_jax.data import MultimodalData, feature_statistics
from masam_jax.data.on_disk import Data
from masam_jax.data.standardization import Statistics, streamed_statistics
from masam_jax.data.streaming import ReadAhead, row_batches
from masam_jax.training.corruption import Corruption, still_present

# Samples that are read from disk at a time.
_PART = 64


def training_statistics(
    config: CorruptionConfig,
    data: Data,
    corruption: Corruption,
    train: np.ndarray,
    ahead: ReadAhead,
) -> Statistics:
    """Of the training rows, as far as they have the modality; what is taken away does not count."""
    asked = corruption.present.get("train", {})
    if isinstance(data, MultimodalData):
        present = still_present(config, "train", asked, data.present)
        return feature_statistics(data.features, train, data.modality_specs, present)
    # Read once for all seeds that train on the same rows.
    specs = data.modality_specs
    distinct, which = np.unique(train, axis=0, return_inverse=True)
    which = which.reshape(-1)
    needs_reading = any(spec.normalization.is_fitted for spec in specs.values())

    def values(rows: np.ndarray) -> Iterator[dict[str, Any]]:
        read = row_batches(data.reader, rows, _PART, ahead) if needs_reading else ()
        for start, (inputs, own, *_) in zip(range(0, len(rows), _PART), read, strict=False):
            part = rows[start : start + _PART]
            has = still_present(
                config,
                "train",
                {m: found[part] for m, found in asked.items()},
                {m: found[: len(part)] for m, found in own.items()},
            )
            counted = {m: np.flatnonzero(found) for m, found in has.items()}
            yield {m: jax.tree.map(lambda x, k=counted[m]: x[k], inputs[m]) for m in inputs}

    each = [streamed_statistics(values(rows), specs) for rows in distinct]
    return {
        m: (
            np.stack([one[m][0] for one in each])[which],
            np.stack([one[m][1] for one in each])[which],
        )
        for m in each[0]
    }
