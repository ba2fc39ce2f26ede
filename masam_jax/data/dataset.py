"""A multimodal classification data set held in memory."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping

import numpy as np

# `masam` labels everything outside the encoders with this name, so no modality may have it.
_RESERVED = "other"


@dataclasses.dataclass(frozen=True, eq=False)
class MultimodalData:
    """Rows seen through several modalities, with one class label each.

    Attributes:
      name: what the data set is called in configs and reports.
      features: modality name -> array ``[N, ...]`` of finite real numbers, one row a sample:
        vectors ``[N, D]`` or images ``[N, H, W, C]``, as the source gives them, not standardised.
      labels: integer classes ``[N]`` in ``[0, num_classes)``; kept as int32.
      num_classes: number of classes, at least 2.

    The arrays are made read-only: every seed and every method sees the same rows.

    Raises:
      ValueError: for no modality, a modality named ``"other"`` or with a ``/`` in its name, arrays
        whose numbers of rows differ, non-finite features, or labels out of range.

    Examples:
      >>> import numpy as np
      >>> data = MultimodalData(
      ...     "toy",
      ...     {"text": np.zeros((4, 3)), "image": np.zeros((4, 2, 2, 1))},
      ...     np.array([0, 1, 0, 1]),
      ...     2,
      ... )
      >>> data.modalities
      ('image', 'text')
      >>> data.feature_shapes
      {'image': (2, 2, 1), 'text': (3,)}
    """

    name: str
    features: Mapping[str, np.ndarray]
    labels: np.ndarray
    num_classes: int

    def __post_init__(self) -> None:
        """Checks the fields, sorts the modalities by name and freezes the arrays."""
        labels = _validated_labels(self.labels, self.num_classes)
        features = _validated_features(self.features, len(labels))
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "features", features)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, sorted."""
        return tuple(self.features)

    @property
    def feature_shapes(self) -> dict[str, tuple[int, ...]]:
        """Modality name -> shape of one sample, without the row axis."""
        return {modality: array.shape[1:] for modality, array in self.features.items()}

    def select(self, modalities: Iterable[str]) -> MultimodalData:
        """The same rows seen through some of the modalities only.

        Raises:
          ValueError: for an unknown modality (with the nearest name), or none at all.
        """
        chosen = tuple(modalities)
        for modality in chosen:
            if modality not in self.features:
                near = difflib.get_close_matches(str(modality), self.modalities, n=1)
                hint = f" (did you mean {near[0]!r}?)" if near else ""
                raise ValueError(
                    f"modalities: {modality!r} is not in data set {self.name!r}{hint}; "
                    f"it has {', '.join(self.modalities)}."
                )
        features = {modality: self.features[modality] for modality in chosen}
        return dataclasses.replace(self, features=features)


def _validated_labels(labels: np.ndarray, num_classes: int) -> np.ndarray:
    if num_classes < 2:
        raise ValueError(f"num_classes is {num_classes}; at least 2 are needed.")
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.size == 0 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"labels have shape {labels.shape} and dtype {labels.dtype}; "
            "a non-empty vector [N] of integers is needed."
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= num_classes:
        raise ValueError(
            f"labels run from {low} to {high}; with num_classes={num_classes} "
            f"they must lie in 0..{num_classes - 1}."
        )
    return _read_only(labels, np.dtype(np.int32))


def _validated_features(features: Mapping[str, np.ndarray], rows: int) -> dict[str, np.ndarray]:
    if not features:
        raise ValueError("features are empty; at least one modality is needed.")
    validated = {}
    for modality in sorted(features):
        if not modality or modality == _RESERVED or "/" in modality:
            raise ValueError(
                f"features: {modality!r} cannot name a modality; a non-empty name without '/' "
                f"and other than {_RESERVED!r} is needed."
            )
        array = np.asarray(features[modality])
        if array.ndim < 2 or len(array) != rows:
            raise ValueError(
                f"features[{modality!r}] have shape {array.shape}; "
                f"one row for each of the {rows} labels is needed: [{rows}, ...]."
            )
        if not (np.issubdtype(array.dtype, np.integer) or np.issubdtype(array.dtype, np.floating)):
            raise ValueError(
                f"features[{modality!r}] have dtype {array.dtype}; real numbers are needed."
            )
        bad = int(np.count_nonzero(~np.isfinite(array)))
        if bad:
            raise ValueError(f"features[{modality!r}] hold {bad} non-finite values; none may be.")
        validated[modality] = _read_only(array, array.dtype)
    return validated


def _read_only(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    # Without the copy, freezing would reach the caller's own array.
    if array.flags.writeable or array.dtype != dtype:
        array = array.astype(dtype)
        array.setflags(write=False)
    return array
