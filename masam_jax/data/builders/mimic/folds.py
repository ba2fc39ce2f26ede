"""Five folds of patients."""

from __future__ import annotations

import numpy as np

from masam_jax.data.permutation import seeded_permutation

FOLDS = 5
"""How many there are."""

# Of `seeded_permutation`; `masam_jax.data.splits`, the pipeline and ADNI use 0 to 6.
_STREAM = 7


def fold_splits(groups: np.ndarray, fold: int, seed: int) -> np.ndarray:
    """Each row's part: a fold of patients is test, the next one validation, three are train.

    Patients, sorted by name, are put in the order of PCG64 words (`seeded_permutation`) and dealt
    to the folds in turn.

    Args:
      groups: whose row it is, ``[N]``.
      fold: the test fold, 0 to 4; after fold 4 comes fold 0.
      seed: integer >= 0; draws the order.

    Returns:
      ``[N]`` of ``"train"``, ``"validation"`` and ``"test"``.
    """
    patients, rows = np.unique(groups, return_inverse=True)
    folds = np.empty(len(patients), np.int32)
    folds[seeded_permutation(len(patients), seed, _STREAM)] = np.arange(len(patients)) % FOLDS
    parts = np.full(FOLDS, "train", "<U10")
    parts[fold], parts[(fold + 1) % FOLDS] = "test", "validation"
    return parts[folds][rows]
