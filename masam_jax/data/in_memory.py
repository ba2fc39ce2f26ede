"""A multimodal classification data set held in memory."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np

from masam_jax.core.specs import unknown
from masam_jax.data.modality import Kind, Modality
from masam_jax.data.splits import Split, make_split

# `masam` labels everything outside the encoders with this name, so no modality may have it.
_RESERVED = "other"


class SplitFunction(Protocol):
    """Draws the three parts of a data set, as `make_split` does."""

    def __call__(
        self,
        *,
        seed: int,
        split_seed: int,
        train_size: int | None,
        validation_size: int | None,
        test_size: int | None,
    ) -> Split:
        """Row indices of the parts for one training seed."""


@dataclasses.dataclass(frozen=True, eq=False)
class MultimodalData:
    """Rows seen through several modalities, with one class or several labels each.

    Attributes:
      name: what the data set is called in configs and reports.
      features: modality name -> array ``[N, ...]`` of finite real numbers, one row a sample, as the
        source gives them, not standardised; or ``{"values": [N, T, D], "mask": bool [N, T]}``, or
        ``{"tokens": [N, L], "mask": bool [N, L]}``.
      labels: integer classes ``[N]`` in ``[0, num_classes)``, or zeros and ones ``[N, K]``; kept as
        int32.
      num_classes: number of classes, at least 2, or of labels K.
      specs: modality name -> what its samples look like; by default vectors ``[N, D]``, and images
        ``[N, H, W, C]``, each standardised by feature or channel.
      present: modality name -> bool ``[N]``, the rows that have it; all do where it is not named.
      metric: what results are measured in, a name of ``masam_jax.training.classification_metrics``.
      splitter: draws the parts; at random when None, stratified where rows have one class.

    The arrays are made read-only: every seed and every method sees the same rows.

    Raises:
      ValueError: for no modality, a modality named ``"other"`` or with a ``/`` in its name, arrays
        whose numbers of rows differ, non-finite features, labels out of range, or rows present of
        a modality that there is not.

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
      >>> {m: spec.kind for m, spec in data.modality_specs.items()}
      {'image': 'image', 'text': 'vector'}
    """

    name: str
    features: Mapping[str, Any]
    labels: np.ndarray
    num_classes: int
    specs: Mapping[str, Modality] | None = None
    present: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    metric: str = "accuracy"
    splitter: SplitFunction | None = None

    def __post_init__(self) -> None:
        """Checks the fields, sorts the modalities by name and freezes the arrays."""
        labels = _validated_labels(self.labels, self.num_classes)
        features = {
            modality: _validated_features(modality, self.features[modality], len(labels))
            for modality in sorted(self.features)
        }
        if not features:
            raise ValueError("features are empty; at least one modality is needed.")
        specs = self.specs or {m: _default_spec(x) for m, x in features.items()}
        if set(specs) != set(features):
            raise ValueError(
                f"specs name {sorted(specs)}, and features {sorted(features)}; both must name the"
                " same modalities."
            )
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "features", features)
        object.__setattr__(self, "specs", {modality: specs[modality] for modality in features})
        object.__setattr__(self, "present", _validated_present(self.present, features, len(labels)))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, sorted."""
        return tuple(self.features)

    @property
    def modality_specs(self) -> Mapping[str, Modality]:
        """Modality name -> what its samples look like."""
        return self.specs or {}

    @property
    def multi_label(self) -> bool:
        """Whether a row has K labels of zero or one, rather than one class."""
        return self.labels.ndim == 2

    @property
    def has_missing(self) -> bool:
        """Whether a row lacks a modality."""
        return bool(self.present)

    def split(
        self,
        *,
        seed: int,
        split_seed: int = 0,
        train_size: int | None = None,
        validation_size: int | None = None,
        test_size: int | None = None,
    ) -> Split:
        """Rows of the three parts for one training seed.

        Raises:
          ValueError: the data are too few, or have no parts of their own and no sizes are given.
        """
        if self.splitter is not None:
            return self.splitter(
                seed=seed,
                split_seed=split_seed,
                train_size=train_size,
                validation_size=validation_size,
                test_size=test_size,
            )
        if validation_size is None or test_size is None:
            raise ValueError(
                f"data set {self.name!r} has no published split: validation_size and test_size"
                " must be given."
            )
        return make_split(
            # Several labels are no class to stratify by.
            np.zeros(len(self), np.int32) if self.multi_label else self.labels,
            seed=seed,
            split_seed=split_seed,
            train_size=train_size,
            validation_size=validation_size,
            test_size=test_size,
        )

    def digest(self) -> str:
        """sha256 (hex) of the labels: which data these are."""
        return hashlib.sha256(self.labels.astype("<i4").tobytes()).hexdigest()

    def select(self, modalities: Iterable[str]) -> MultimodalData:
        """The same rows seen through some of the modalities only.

        Raises:
          ValueError: for an unknown modality (with the nearest name), or none at all.
        """
        chosen = tuple(modalities)
        for modality in chosen:
            if modality not in self.features:
                found = unknown("modality", modality, self.modalities)
                raise ValueError(f"data set {self.name!r}: {found}")
        return dataclasses.replace(
            self,
            features={modality: self.features[modality] for modality in chosen},
            specs={modality: self.modality_specs[modality] for modality in chosen},
            present={m: rows for m, rows in self.present.items() if m in chosen},
        )


def _default_spec(features: Any) -> Modality:
    if isinstance(features, Mapping):
        raise ValueError("features with a mask need `specs`, which say what they are.")
    kind: Kind = "vector" if features.ndim == 2 else "image"
    return Modality(kind, features.shape[1:], features.dtype)


def _validated_labels(labels: np.ndarray, num_classes: int) -> np.ndarray:
    labels = np.asarray(labels)
    several = labels.ndim == 2
    least = 1 if several else 2
    if num_classes < least:
        raise ValueError(f"num_classes is {num_classes}; at least {least} are needed.")
    if labels.ndim not in (1, 2) or labels.size == 0 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"labels have shape {labels.shape} and dtype {labels.dtype}; a non-empty vector [N] of"
            " integers, or zeros and ones [N, K], are needed."
        )
    low, high = int(labels.min()), int(labels.max())
    if several and (labels.shape[1] != num_classes or low < 0 or high > 1):
        raise ValueError(
            f"labels have shape {labels.shape} and run from {low} to {high}; zeros and ones"
            f" [N, {num_classes}] are needed."
        )
    if not several and (low < 0 or high >= num_classes):
        raise ValueError(
            f"labels run from {low} to {high}; with num_classes={num_classes} "
            f"they must lie in 0..{num_classes - 1}."
        )
    return _read_only(labels, np.dtype(np.int32))


def _validated_features(modality: str, features: Any, rows: int) -> Any:
    if not modality or modality == _RESERVED or "/" in modality:
        raise ValueError(
            f"features: {modality!r} cannot name a modality; a non-empty name without '/' "
            f"and other than {_RESERVED!r} is needed."
        )
    if isinstance(features, Mapping):
        return {
            part: _validated_array(f"features[{modality!r}][{part!r}]", features[part], rows)
            for part in sorted(features)
        }
    return _validated_array(f"features[{modality!r}]", features, rows)


def _validated_array(name: str, values: Any, rows: int) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim < 2 or len(array) != rows:
        raise ValueError(
            f"{name} have shape {array.shape}; "
            f"one row for each of the {rows} labels is needed: [{rows}, ...]."
        )
    real = (np.integer, np.floating, np.bool_)
    if not any(np.issubdtype(array.dtype, kind) for kind in real):
        raise ValueError(f"{name} have dtype {array.dtype}; real numbers are needed.")
    bad = int(np.count_nonzero(~np.isfinite(array)))
    if bad:
        raise ValueError(f"{name} hold {bad} non-finite values; none may be.")
    return _read_only(array, array.dtype)


def _validated_present(
    present: Mapping[str, Any], features: Mapping[str, Any], rows: int
) -> dict[str, np.ndarray]:
    """Of every modality; empty where nothing is missing."""
    given = {modality: np.asarray(present[modality]) for modality in present}
    for modality, found in given.items():
        if modality not in features:
            raise ValueError(f"present names {modality!r}; the modalities are {list(features)}.")
        if found.shape != (rows,) or found.dtype != np.bool_:
            raise ValueError(
                f"present[{modality!r}] has shape {found.shape} and dtype {found.dtype};"
                f" booleans [{rows}] are needed."
            )
    if all(found.all() for found in given.values()):
        return {}
    everywhere = np.ones(rows, np.bool_)
    return {m: _read_only(given.get(m, everywhere), np.dtype(np.bool_)) for m in features}


def _read_only(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    # Without the copy, freezing would reach the caller's own array.
    if array.flags.writeable or array.dtype != dtype:
        array = array.astype(dtype)
        array.setflags(write=False)
    return array
