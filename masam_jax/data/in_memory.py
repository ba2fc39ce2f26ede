"""A multimodal data set held in memory, of classes or of targets."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol, get_args, overload

import numpy as np

from masam_jax.core.specs import check_choice, unknown
from masam_jax.data.drawn_parts import drawn_split
from masam_jax.data.modality import Modality, check_modality
from masam_jax.data.own.recipe import Recipe
from masam_jax.data.raw_features import (
    check_names,
    check_tree,
    default_spec,
    read_only,
    validated_features,
    validated_present,
    with_mask,
)
from masam_jax.data.raw_labels import as_labels, named_labels
from masam_jax.data.raw_targets import as_targets
from masam_jax.data.splits import Split, make_split, strata_of

LearningTask = Literal["classification", "regression"]
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


@dataclasses.dataclass(frozen=True, eq=False, init=False)
class MultimodalData:
    """Rows seen through several modalities, with one class, several labels or targets each.

    ``MultimodalData(features, labels)`` is enough; a name may come first.

    Attributes:
      name: what the data set is called in configs and reports.
      features: modality name -> array ``[N, ...]`` of finite real numbers, one row a sample, as the
        source gives them, not standardised; or ``{"values": [N, T, D], "mask": bool [N, T]}``, or
        ``{"tokens": [N, L], "mask": bool [N, L]}``. A sequence whose steps are all real may be the
        array ``[N, T, D]`` alone, if ``specs`` say so.
      labels: classes ``[N]``, or zeros and ones ``[N, K]``; kept as int32. Classes are integers in
        ``[0, num_classes)``, or, without ``num_classes``, integers or text of any kind, which are
        numbered in their order. Columns ``[N, 1]``, truth values and whole numbers as floats are
        read too. For regression, numbers ``[N]`` or ``[N, K]``, kept as float64 ``[N, K]``.
      num_classes: number of classes, at least 2, or of labels or targets K; as many as there are
        when None.
      specs: modality name -> what its samples look like; of modalities that it does not name,
        vectors ``[N, D]`` and images ``[N, H, W, C]``, standardised by feature or channel.
      present: modality name -> bool ``[N]``, the rows that have it; all do where it is not named.
        Values that are not finite are zeros in rows that lack it.
      metric: what results are measured in, a name of ``masam_jax.training.classification_metrics``;
        accuracy when None, and always r2 for regression.
      splitter: draws the parts; at random when None, stratified where rows have one class, and
        by whole groups where there are any.
      class_names: names of the C classes, or of the K labels or targets; their numbers when None.
        Labels that are text are numbered as these are.
      groups: ``[N]``, whose row it is (a patient, a speaker): no group is in two parts.
      keys: ``[N]``, names of the rows, all different; their numbers when None.
      fingerprint: sha256 (hex) of everything in the data; `digest` is of the labels alone when "".
      notes: what was unsure when they were read, a sentence each; training says them.
      recipe: how other rows of a table become samples like these; None where they are no table's.
      task: ``classification``, or ``regression``.

    The arrays are made read-only: every seed and every method sees the same rows.

    Raises:
      ValueError: for one class, rows without a label, no modality, a modality named ``"other"`` or
        with a ``/`` in its name, arrays whose numbers of rows differ, or whose shape does not say
        what they are, non-finite features, labels out of range, names or keys that are there twice,
        or rows present of a modality that there is not.

    Examples:
      >>> import numpy as np
      >>> features = {"text": np.zeros((4, 3)), "image": np.zeros((4, 2, 2, 1))}
      >>> data = MultimodalData(features, ["oak", "elm", "oak", "elm"], name="trees")
      >>> data.modalities, data.class_names, data.labels.tolist()
      (('image', 'text'), ('elm', 'oak'), [1, 0, 1, 0])
      >>> {m: spec.kind for m, spec in data.modality_specs.items()}
      {'image': 'image', 'text': 'vector'}
    """

    name: str
    features: Mapping[str, Any]
    labels: np.ndarray
    num_classes: int
    specs: Mapping[str, Modality] | None
    present: Mapping[str, np.ndarray]
    metric: str
    splitter: SplitFunction | None
    class_names: tuple[str, ...]
    groups: np.ndarray | None
    keys: tuple[str, ...] | None
    fingerprint: str
    notes: tuple[str, ...]
    recipe: Recipe | None
    task: LearningTask

    @overload
    def __init__(
        self,
        features: Mapping[str, Any],
        labels: Any,
        num_classes: int | None = ...,
        specs: Mapping[str, Modality] | None = ...,
        present: Mapping[str, Any] | None = ...,
        metric: str | None = ...,
        splitter: SplitFunction | None = ...,
        *,
        name: str = ...,
        class_names: Sequence[str] | None = ...,
        groups: Any = ...,
        keys: Sequence[Any] | None = ...,
        fingerprint: str = ...,
        notes: tuple[str, ...] = ...,
        recipe: Recipe | None = ...,
        task: LearningTask = ...,
    ) -> None: ...

    @overload
    def __init__(
        self,
        name: str,
        features: Mapping[str, Any],
        labels: Any,
        num_classes: int | None = ...,
        specs: Mapping[str, Modality] | None = ...,
        present: Mapping[str, Any] | None = ...,
        metric: str | None = ...,
        splitter: SplitFunction | None = ...,
        *,
        class_names: Sequence[str] | None = ...,
        groups: Any = ...,
        keys: Sequence[Any] | None = ...,
        fingerprint: str = ...,
        notes: tuple[str, ...] = ...,
        recipe: Recipe | None = ...,
        task: LearningTask = ...,
    ) -> None: ...

    def __init__(self, *given: Any, **named: Any) -> None:
        """Takes the fields; checks them, sorts the modalities by name and freezes the arrays."""
        if given and isinstance(given[0], str):
            named, given = {"name": given[0], **named}, given[1:]
        for field, value in _fields(*given, **named).items():
            object.__setattr__(self, field, value)
        self._check()

    def _check(self) -> None:
        given = self.specs or {}
        labels = self.labels
        check_names(self.features)
        present = validated_present(self.present, self.features, len(labels))
        features = {
            m: validated_features(
                m, with_mask(self.features[m], given.get(m)), len(labels), present.get(m)
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
            check_tree(m, features[m], spec)
        specs = {m: given[m] if m in given else default_spec(m, features[m]) for m in features}
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
        return self.labels.ndim == 2 and not self.is_regression

    @property
    def is_regression(self) -> bool:
        """Whether a row has K numbers for targets, rather than a class or labels."""
        return self.task == "regression"

    def __repr__(self) -> str:
        """Three lines, without the arrays."""
        kind = "targets" if self.is_regression else "labels" if self.multi_label else "classes"
        what = f"{self.num_classes} {kind}" if self.num_classes > 1 else f"1 {kind[:-1]}"
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

        Parts whose sizes are not given are shares of the rows: a fifth to test on, a tenth to
        validate on, the rest to train on.

        Raises:
          ValueError: the data are too few.
        """
        if self.splitter is not None:
            return self.splitter(
                seed=seed,
                split_seed=split_seed,
                train_size=train_size,
                validation_size=validation_size,
                test_size=test_size,
            )
        if self.groups is not None or validation_size is None or test_size is None:
            return drawn_split(
                self.labels,
                self.groups,
                seed=seed,
                split_seed=split_seed,
                train_size=train_size,
                validation_size=validation_size,
                test_size=test_size,
            )
        return make_split(
            strata_of(self.labels),
            seed=seed,
            split_seed=split_seed,
            train_size=train_size,
            validation_size=validation_size,
            test_size=test_size,
        )

    def digest(self) -> str:
        """sha256 (hex) of the labels, or of everything: which data these are."""
        plain = self.labels.astype("<f8" if self.is_regression else "<i4")
        return self.fingerprint or hashlib.sha256(plain.tobytes()).hexdigest()

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


def _fields(
    features: Mapping[str, Any],
    labels: Any,
    num_classes: int | None = None,
    specs: Mapping[str, Modality] | None = None,
    present: Mapping[str, Any] | None = None,
    metric: str | None = None,
    splitter: SplitFunction | None = None,
    *,
    name: str = "data",
    class_names: Sequence[str] | None = None,
    groups: Any = None,
    keys: Sequence[Any] | None = None,
    fingerprint: str = "",
    notes: tuple[str, ...] = (),
    recipe: Recipe | None = None,
    task: LearningTask = "classification",
) -> dict[str, Any]:
    """The fields of `MultimodalData`, those of the rows checked."""
    check_choice("task", task, get_args(LearningTask))
    if task == "regression":
        if metric not in (None, "r2"):
            raise ValueError(f"metric is {metric!r}; regression is measured in 'r2'.")
        labels, class_names = as_targets(labels, class_names)
        num_classes, metric = len(class_names), "r2"
    elif num_classes is None:
        labels, class_names = named_labels(labels, class_names)
        num_classes = len(class_names)
    if task == "regression":
        array = read_only(labels, np.dtype(np.float64))
    else:
        array = read_only(as_labels(labels, num_classes), np.dtype(np.int32))
    names = tuple(map(str, range(num_classes) if class_names is None else class_names))
    if len(names) != num_classes or len(set(names)) != len(names):
        raise ValueError(
            f"class_names are {len(names)}, {len(set(names))} of them different; {num_classes}"
            " different ones are needed."
        )
    if groups is not None:
        groups = _column("groups", groups, len(array))
        groups = read_only(groups, groups.dtype)
    if keys is not None:
        keys = tuple(_column("keys", keys, len(array)).tolist())
        if len(set(keys)) != len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise ValueError(f"keys have {twice!r} twice; every row needs its own.")
    return {
        "name": name,
        "features": features,
        "labels": array,
        "num_classes": num_classes,
        "specs": specs,
        "present": {} if present is None else present,
        "metric": metric or "accuracy",
        "splitter": splitter,
        "class_names": names,
        "groups": groups,
        "keys": keys,
        "fingerprint": fingerprint,
        "notes": notes,
        "recipe": recipe,
        "task": task,
    }


def _column(name: str, values: Any, rows: int) -> np.ndarray:
    """A text for each row."""
    array = np.array([str(value) for value in np.asarray(values).reshape(-1).tolist()])
    if len(array) != rows:
        raise ValueError(f"{name} are {len(array)}; one for each of the {rows} labels is needed.")
    return array
