"""Features as people have them, checked: arrays of rows, trees with masks, and who has what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from masam_jax.data.modality import Kind, Modality

# `masam` labels everything outside the encoders with this name, so no modality may have it.
_RESERVED = "other"
_LARGEST = 1e37


def default_spec(modality: str, features: Any) -> Modality:
    """Vectors ``[N, D]`` and images ``[N, H, W, C]``.

    Raises:
      ValueError: the shape does not say what they are.
    """
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


def with_mask(features: Any, spec: Modality | None) -> Any:
    """Sequences given as one array, of which every step is real."""
    if spec is None or spec.kind != "sequence" or isinstance(features, Mapping):
        return features
    values = np.asarray(features)
    if values.ndim != 3:
        return features
    return {"values": values.astype(spec.dtype), "mask": np.ones(values.shape[:2], np.bool_)}


def check_names(features: Any) -> None:
    """Raises ``ValueError`` for what is no dict, or names that no modality may have."""
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


def check_tree(modality: str, features: Any, spec: Modality) -> None:
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


def validated_features(modality: str, features: Any, rows: int, present: np.ndarray | None) -> Any:
    """Read-only arrays of a modality, one row for each label.

    Args:
      modality: its name, for messages.
      features: an array ``[N, ...]``, or a tree of such.
      rows: N.
      present: bool ``[N]``; values of rows that lack it, if they are not finite, become zeros.

    Raises:
      ValueError: another shape, no real numbers, or values that are not finite.
    """
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
    return read_only(array, array.dtype)


def validated_present(
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
    return {m: read_only(given.get(m, everywhere), np.dtype(np.bool_)) for m in features}


def read_only(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The array of that dtype, frozen; a copy, unless it is so already."""
    # Without the copy, freezing would reach the caller's own array.
    if array.flags.writeable or array.dtype != dtype:
        array = array.astype(dtype)
        array.setflags(write=False)
    return array
