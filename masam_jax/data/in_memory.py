"""A multimodal classification data set held in memory."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np

from masam_jax.core.specs import unknown
from masam_jax.data.modality import Kind, Modality, check_modality
from masam_jax.data.raw_labels import as_labels
from masam_jax.data.splits import Split, make_split

# `masam` labels everything outside the encoders with this name, so no modality may have it.
_RESERVED = "other"
_LARGEST = 1e37
# Modalities that a line names.
_MOST_SHOWN = 8


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
        ``{"tokens": [N, L], "mask": bool [N, L]}``. A sequence whose steps are all real may be the
        array ``[N, T, D]`` alone, if ``specs`` say so.
      labels: integer classes ``[N]`` in ``[0, num_classes)``, or zeros and ones ``[N, K]``; kept as
        int32. Columns ``[N, 1]``, truth values and whole numbers as floats are read too.
      num_classes: number of classes, at least 2, or of labels K.
      specs: modality name -> what its samples look like; of modalities that it does not name,
        vectors ``[N, D]`` and images ``[N, H, W, C]``, standardised by feature or channel.
      present: modality name -> bool ``[N]``, the rows that have it; all do where it is not named.
        Values that are not finite are zeros in rows that lack it.
      metric: what results are measured in, a name of ``masam_jax.training.classification_metrics``.
      splitter: draws the parts; at random when None, stratified where rows have one class.

    The arrays are made read-only: every seed and every method sees the same rows.

    Raises:
      ValueError: for no modality, a modality named ``"other"`` or with a ``/`` in its name, arrays
        whose numbers of rows differ, or whose shape does not say what they are, non-finite
        features, labels out of range, or rows present of a modality that there is not.

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
        labels = _read_only(as_labels(self.labels, self.num_classes), np.dtype(np.int32))
        given = self.specs or {}
        _check_names(self.features)
        present = _validated_present(self.present, self.features, len(labels))
        features = {
            m: _validated_features(
                m, _with_mask(self.features[m], given.get(m)), len(labels), present.get(m)
            )
            for m in sorted(self.features)
        }
        if not features:
            raise ValueError("features are empty; at least one modality is needed.")
        if not set(given) <= set(features):
            raise ValueError(
                f"specs name {sorted(given)}, and features {sorted(features)}; specs may name"
                " modalities of features alone."
            )
        for m, spec in given.items():
            check_modality(f"specs[{m!r}]", spec)
            _check_tree(m, features[m], spec)
        specs = {m: given[m] if m in given else _default_spec(m, features[m]) for m in features}
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "features", features)
        object.__setattr__(self, "specs", specs)
        object.__setattr__(self, "present", {m: present[m] for m in features if present})

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

    def __repr__(self) -> str:
        """Three lines, without the arrays."""
        what = f"{self.num_classes} {'labels' if self.multi_label else 'classes'}"
        shown = [f"{m}: {self._describe(m)}" for m in self.modalities[:_MOST_SHOWN]]
        more = len(self.modalities) - len(shown)
        listed = ", ".join(shown + ([f"and {more} more"] if more else []))
        return (
            f"MultimodalData({self.name!r}, {len(self)} samples, {what})\n"
            f"  modalities: {listed}\n"
            f"  metric: {self.metric}; split: {'published' if self.splitter else 'drawn'}"
        )

    def _describe(self, modality: str) -> str:
        spec = self.modality_specs[modality]
        lacking = np.count_nonzero(~self.present[modality]) if modality in self.present else 0
        return f"{spec.kind} {list(spec.shape)}" + (f" (missing in {lacking})" if lacking else "")

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


def _default_spec(modality: str, features: Any) -> Modality:
    if isinstance(features, Mapping):
        raise ValueError("features with a mask need `specs`, which say what they are.")
    if features.ndim not in (2, 4):
        sides = features.shape[1:]
        kind, further = ("sequence", ", or as images with a channel axis, x[..., None]")
        if features.ndim != 3:
            kind, further = "frames", ""
        raise ValueError(
            f"features[{modality!r}] have shape {features.shape}, which does not say what they are:"
            f" give them with specs={{{modality!r}: Modality({kind!r}, {sides})}}{further}."
        )
    usual: Kind = "vector" if features.ndim == 2 else "image"
    return Modality(usual, features.shape[1:], features.dtype)


def _with_mask(features: Any, spec: Modality | None) -> Any:
    """Sequences given as one array, of which every step is real."""
    if spec is None or spec.kind != "sequence" or isinstance(features, Mapping):
        return features
    values = np.asarray(features)
    if values.ndim != 3:
        return features
    return {"values": values.astype(spec.dtype), "mask": np.ones(values.shape[:2], np.bool_)}


def _check_names(features: Any) -> None:
    if not isinstance(features, Mapping):
        raise ValueError(
            f"features are a {type(features).__name__}; a dict of modalities is needed."
        )
    for modality in features:
        is_name = isinstance(modality, str) and modality and "/" not in modality
        if not is_name or modality == _RESERVED:
            raise ValueError(
                f"features: {modality!r} cannot name a modality; a non-empty name without '/' "
                f"and other than {_RESERVED!r} is needed."
            )


def _check_tree(modality: str, features: Any, spec: Modality) -> None:
    """Refuses other parts than the kind has, and masks that are none; sizes are `verify`'s."""
    name, wanted = f"features[{modality!r}]", spec.template
    parts = sorted(features) if isinstance(features, Mapping) else "one array"
    if parts != (sorted(wanted) if isinstance(wanted, Mapping) else "one array"):
        raise ValueError(
            f"{name} have {parts}; of kind {spec.kind!r} they have"
            f" {sorted(wanted) if isinstance(wanted, Mapping) else 'one array'}."
        )
    if isinstance(wanted, Mapping) and features["mask"].dtype != np.bool_:
        raise ValueError(
            f"{name}['mask'] have dtype {features['mask'].dtype}; booleans are needed, True at real"
            " steps: mask.astype(bool)."
        )


def _validated_features(modality: str, features: Any, rows: int, present: np.ndarray | None) -> Any:
    if isinstance(features, Mapping):
        return {
            part: _validated_array(
                f"features[{modality!r}][{part!r}]", features[part], rows, present
            )
            for part in sorted(features)
        }
    return _validated_array(f"features[{modality!r}]", features, rows, present)


def _validated_array(
    name: str, values: Any, rows: int, present: np.ndarray | None = None
) -> np.ndarray:
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(
            f"{name} are lists of different lengths; fill up sequences with zeros and give them as"
            " {'values': [N, T, D], 'mask': bool [N, T]} with a spec."
        ) from error
    if array.ndim == 1 and len(array) == rows and array.dtype != np.object_:
        raise ValueError(
            f"{name} have shape {array.shape}; a column is needed of one number a row: x[:, None]."
        )
    if array.ndim < 2 or len(array) != rows:
        raise ValueError(
            f"{name} have shape {array.shape}; "
            f"one row for each of the {rows} labels is needed: [{rows}, ...]."
        )
    real = (np.integer, np.floating, np.bool_)
    if not any(np.issubdtype(array.dtype, kind) for kind in real):
        raise ValueError(f"{name} have dtype {array.dtype}; real numbers are needed.")
    if not array.size:
        raise ValueError(f"{name} have shape {array.shape}; no side may be 0.")
    finite = np.isfinite(array)
    if present is not None and not finite[~present].all():
        # What is missing is often written as NaN, and never looked at.
        array = np.where(finite | present.reshape(-1, *[1] * (array.ndim - 1)), array, 0)
        array = array.astype(np.asarray(values).dtype)
        finite = np.isfinite(array)
    bad = ~finite
    if bad.any():
        rows_of = np.unique(np.nonzero(bad)[0])
        raise ValueError(
            f"{name} hold {int(np.count_nonzero(bad))} non-finite values, in {len(rows_of)} rows,"
            f" the first {rows_of[0]}; none may be, but in rows that `present` says are missing."
        )
    if np.issubdtype(array.dtype, np.floating) and float(np.abs(array).max()) > _LARGEST:
        raise ValueError(
            f"{name} hold values beyond {_LARGEST:g}, which float32 cannot standardise; scale them."
        )
    return _read_only(array, array.dtype)


def _validated_present(
    present: Mapping[str, Any], features: Mapping[str, Any], rows: int
) -> dict[str, np.ndarray]:
    """Of every modality; empty where nothing is missing."""
    if not isinstance(present, Mapping):
        raise ValueError(f"present is a {type(present).__name__}; a dict of modalities is needed.")
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
