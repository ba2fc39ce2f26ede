"""Samples that a caller brings along, checked at the door."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np

from masam_jax.core.specs import unknown
from masam_jax.data.batch import Batch
from masam_jax.data.modality import Modality


def check_inputs(
    inputs: Mapping[str, Any],
    specs: Mapping[str, Modality],
    present: Mapping[str, Any] | None = None,
    may_lack: bool = False,
) -> Batch:
    """Raw arrays as readers give them: of the dtypes of the data set, zeros for what is missing.

    Args:
      inputs: modality -> samples ``[n, ...]``, ``{"values": [n, T, D], "mask": bool [n, T]}`` or
        ``{"tokens": [n, L], "mask": bool [n, L]}``, as `Modality` says of one sample; None where
        all n samples lack the modality.
      specs: modality -> what its samples look like.
      present: modality -> bool ``[n]``, the samples that have it; all do where it is not named.
      may_lack: whether a modality may be left out, which says the same as None.

    Raises:
      ValueError: an unknown modality, one that is left out though it may not be, none at all,
        another structure, shape or dtype, numbers of samples that differ, values that are not
        finite, tokens outside the vocabulary, or a sample without any modality.
    """
    given = _given(inputs, specs, may_lack)
    checked = {m: _checked(m, given[m], specs[m]) for m in given}
    count = _common_count(checked)
    has = _presence(present or {}, specs, checked, count)
    for m, tree in checked.items():
        there = slice(None) if has[m].all() else has[m]
        _check_values(m, jax.tree.map(lambda x, rows=there: x[rows], tree), specs[m])
    whole = {m: checked[m] if m in checked else _blank(specs[m], count) for m in specs}
    return Batch(whole, has)


def slices(samples: Batch, size: int) -> Iterator[tuple[Batch, int]]:
    """``size`` samples at a time, and how many of them count; the last ones are filled up.

    Their rows are their places in the part.
    """
    total = len(next(iter(samples.present.values())))
    for start in range(0, total, size):
        count = min(size, total - start)
        # The last sample again and again.
        rows = np.minimum(np.arange(start, start + size), total - 1)
        part = jax.tree.map(lambda x, rows=rows: x[rows], samples)
        yield part._replace(rows=np.arange(size, dtype=np.int32)), count


def _given(
    inputs: Mapping[str, Any], specs: Mapping[str, Modality], may_lack: bool
) -> dict[str, Any]:
    if not isinstance(inputs, Mapping):
        raise ValueError(
            f"inputs are a {type(inputs).__name__}; a dict with the modalities"
            f" {', '.join(specs)} is needed."
        )
    for m in inputs:
        if m not in specs:
            raise ValueError(f"inputs: {unknown('modality', str(m), tuple(specs))}.")
    for m in specs:
        if m not in inputs and not may_lack:
            raise ValueError(
                f"inputs lack {m!r}: give its samples, or None for a missing modality."
            )
    given = {m: inputs[m] for m in specs if inputs.get(m) is not None}
    if not given:
        raise ValueError(f"inputs have no modality; at least one of {', '.join(specs)} is needed.")
    return given


def _checked(modality: str, tree: Any, spec: Modality) -> Any:
    """The tree of arrays, of the spec's dtypes."""
    template = spec.template
    if not isinstance(template, dict):
        if isinstance(tree, Mapping):
            raise ValueError(f"inputs[{modality!r}] are a dict; an array is needed.")
        return _checked_array(f"inputs[{modality!r}]", tree, template)
    if not isinstance(tree, Mapping) or set(tree) != set(template):
        found = sorted(tree) if isinstance(tree, Mapping) else type(tree).__name__
        raise ValueError(f"inputs[{modality!r}] have {found}; {sorted(template)} are needed.")
    return {
        part: _checked_array(f"inputs[{modality!r}][{part!r}]", tree[part], like)
        for part, like in template.items()
    }


def _checked_array(name: str, values: Any, like: np.ndarray) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim != like.ndim + 1 or array.shape[1:] != like.shape:
        wanted = ", ".join(map(str, ("n", *like.shape)))
        raise ValueError(f"{name} have shape {array.shape}; [{wanted}] is needed.")
    # Pixels of 0 to 1 are no pixels of 0 to 255, and a mask of numbers is none.
    if not np.can_cast(array.dtype, like.dtype, "same_kind"):
        raise ValueError(f"{name} have dtype {array.dtype}; {like.dtype} is needed.")
    with np.errstate(over="ignore"):
        cast = array.astype(like.dtype, copy=False)
    if np.issubdtype(like.dtype, np.integer) and not np.array_equal(cast, array):
        raise ValueError(f"{name} hold values that are too large for {like.dtype}.")
    return cast


def _common_count(checked: Mapping[str, Any]) -> int:
    counts = {m: {len(x) for x in jax.tree.leaves(tree)} for m, tree in checked.items()}
    found = set().union(*counts.values())
    if len(found) > 1:
        words = ", ".join(f"{sorted(each)} of {m!r}" for m, each in counts.items())
        raise ValueError(f"inputs have different numbers of samples: {words}.")
    (count,) = found
    if not count:
        raise ValueError("inputs have no samples; at least one is needed.")
    return count


def _presence(
    present: Mapping[str, Any], specs: Mapping[str, Modality], given: Mapping[str, Any], count: int
) -> dict[str, np.ndarray]:
    has = {m: np.full(count, m in given) for m in specs}
    for m, found in present.items():
        if m not in specs:
            raise ValueError(f"present: {unknown('modality', str(m), tuple(specs))}.")
        found = np.asarray(found)
        if found.shape != (count,) or found.dtype != np.bool_:
            raise ValueError(
                f"present[{m!r}] has shape {found.shape} and dtype {found.dtype}; booleans"
                f" [{count}] are needed."
            )
        has[m] &= found
    nothing = np.flatnonzero(~np.any(list(has.values()), axis=0))
    if nothing.size:
        raise ValueError(f"sample {nothing[0]} has no modality; at least one is needed.")
    return has


def _check_values(modality: str, tree: Any, spec: Modality) -> None:
    for array in jax.tree.leaves(tree):
        if np.issubdtype(array.dtype, np.floating):
            bad = int(np.count_nonzero(~np.isfinite(array)))
            if bad:
                raise ValueError(f"inputs[{modality!r}] hold {bad} non-finite values; none may be.")
    if spec.kind == "tokens" and spec.vocabulary_size is not None:
        tokens = tree["tokens"][tree["mask"]]
        if tokens.size and not 0 <= tokens.min() <= tokens.max() < spec.vocabulary_size:
            raise ValueError(
                f"inputs[{modality!r}] hold tokens {tokens.min()} to {tokens.max()}; 0 to"
                f" {spec.vocabulary_size - 1} are needed."
            )


def _blank(spec: Modality, count: int) -> Any:
    return jax.tree.map(lambda x: np.broadcast_to(x, (count, *x.shape)), spec.template)
