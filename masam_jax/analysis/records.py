"""Reading what training leaves on disk: comparison and run directories."""

import json
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from masam_jax.analysis.markdown import one_line
from masam_jax.analysis.primary_metric import primary_metric, primary_scores
from masam_jax.config.errors import RunError
from masam_jax.training.storage.sealed_files import unseal

_RESULT_KEYS = ("spec", "slug", "title", "seeds")


@dataclass(frozen=True)
class Curve:
    """One metric over training.

    Attributes:
      steps: int64 [T], increasing.
      values: float64 [T, S], one column per seed; NaN where a seed diverged.
    """

    steps: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class MethodRecord:
    """One trained method: ``result.json``, ``config.json`` and ``metrics.jsonl``, parsed."""

    result: dict[str, Any]
    config: dict[str, Any] | None
    metrics: list[dict[str, Any]]

    @property
    def title(self) -> str:
        """The name that a reader sees."""
        return str(self.result["title"])

    def curve(self, split: str, key: str, modality: str | None = None) -> Curve | None:
        """One metric over training, or ``None`` if it was never logged.

        Args:
          split: "train" or "validation".
          key: the metric, such as "accuracy" or "score".
          modality: whose value, for metrics that have one per modality.

        Returns:
          The curve. A step that was logged twice (before and after resuming) counts once, as
          logged last.
        """
        rows: dict[int, list[float]] = {}
        for record in self.metrics:
            value = record.get(key) if record["split"] == split else None
            if modality is not None and value is not None:
                value = value.get(modality)
            if value is not None:
                rows[record["step"]] = [math.nan if v is None else float(v) for v in value]
        if not rows:
            return None
        steps = sorted(rows)
        return Curve(
            np.array(steps, np.int64), np.array([rows[step] for step in steps], np.float64)
        )

    def traced_modalities(self, key: str, split: str = "train") -> list[str]:
        """Modalities, sorted, for which the metric `key` was logged."""
        found: set[str] = set()
        for record in self.metrics:
            if record["split"] == split:
                found.update(record.get(key) or ())
        return sorted(found)


@dataclass(frozen=True)
class Directory:
    """A comparison, or a single run seen as a comparison of one method.

    Attributes:
      path: where it lies.
      is_comparison: whether it holds several methods' results (``results.json``).
      results: the content of ``results.json``; for a single run its equivalent.
      methods: the methods in the order of ``results``.
      config: content of ``config.json``, or ``None``.
      environment: content of ``environment.json``, or ``None``.
      splits: content of ``splits.json``, or ``None``.
    """

    path: Path
    is_comparison: bool
    results: dict[str, Any]
    methods: list[MethodRecord]
    config: dict[str, Any] | None
    environment: dict[str, Any] | None
    splits: dict[str, Any] | None

    @property
    def split(self) -> str:
        """The split that the results are on: "test", or "validation" while tuning."""
        return reported_split(self.results["methods"])

    @property
    def metric(self) -> str:
        """What the methods are judged by, one of the classification metrics' names."""
        return primary_metric(self.results)

    def scores(self, method: MethodRecord) -> list[float | None]:
        """That metric on the reported split, a fraction for each seed."""
        return primary_scores(method.result, self.split, self.metric)

    @property
    def baseline(self) -> MethodRecord:
        """The method that the others are compared with."""
        return next(m for m in self.methods if m.result["spec"] == self.results["baseline"])


def read_directory(directory: str | Path) -> Directory:
    """Reads a comparison directory (``results.json``) or a run directory (``result.json``).

    Args:
      directory: what ``masam compare`` or ``masam train`` wrote.

    Returns:
      Everything that tables, plots and reports need.

    Raises:
      ValueError: if the directory holds neither file, or a file is damaged, lacks a key, or
          names a metric that is none.
    """
    path = Path(directory)
    if (path / "results.json").is_file():
        results = _read_sealed(path / "results.json")
        _require_keys(path / "results.json", results, ("baseline", "methods"))
        for result in results["methods"]:
            _require_keys(path / "results.json", result, _RESULT_KEYS)
        _require_names(path / "results.json", results["methods"])
        methods = [_read_method(path / "methods" / r["slug"], r) for r in results["methods"]]
        _require_baseline(path / "results.json", results)
    elif (path / "result.json").is_file():
        result = _read_sealed(path / "result.json")
        _require_keys(path / "result.json", result, _RESULT_KEYS)
        _require_names(path / "result.json", [result])
        methods = [_read_method(path, result)]
        results = _single_results(methods[0])
    else:
        raise ValueError(
            f"{path} holds neither results.json (a finished comparison) nor result.json (a "
            "finished run); give a directory that holds one, or finish it with --resume"
        )
    _require_metric(path, results)
    return Directory(
        path=path,
        is_comparison=(path / "results.json").is_file(),
        results=results,
        methods=methods,
        config=_read_optional(path / "config.json"),
        environment=_read_optional(path / "environment.json"),
        splits=_read_optional(path / "splits.json"),
    )


def reported_split(methods: Sequence[dict[str, Any]]) -> str:
    """The split to report: "test", or "validation" for results that leave the test split alone.

    Args:
      methods: results, each with ``test`` or ``validation`` metrics, or both.

    Returns:
      "test" if every method has test metrics, else "validation".

    Raises:
      ValueError: if there is no split on which every method was evaluated.
    """
    for split in ("test", "validation"):
        if all(method.get(split) for method in methods):
            return split
    raise ValueError(
        f"the methods {[method['spec'] for method in methods]} were not all evaluated on the same "
        "split; each needs 'test' metrics, or each 'validation' metrics"
    )


def read_metrics(path: str | Path) -> list[dict[str, Any]]:
    """Reads ``metrics.jsonl``; a last line that a killed run left unfinished is left out.

    So is any other line that is no record, with a warning that names file and line: one bad byte
    must not cost the curves of a run.

    Args:
      path: the file. One that does not exist has no records.

    Returns:
      One dict per line, in the file's order.
    """
    path = Path(path)
    if not path.is_file():
        return []
    lines = path.read_bytes().split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    records = []
    for line_number, line in enumerate(lines, start=1):
        record = _parse_record(line)
        if record is not None:
            records.append(record)
        elif line_number < len(lines):
            warnings.warn(
                f"{path}, line {line_number} is left out: expected a JSON object with an integer "
                f"'step' and a 'split', found {line[:60].decode(errors='replace')!r}",
                stacklevel=2,
            )
    return records


def _parse_record(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or not isinstance(record.get("split"), str):
        return None
    return record if isinstance(record.get("step"), int) else None


def _read_method(path: Path, result: dict[str, Any]) -> MethodRecord:
    return MethodRecord(
        result, _read_optional(path / "config.json"), read_metrics(path / "metrics.jsonl")
    )


def _single_results(method: MethodRecord) -> dict[str, Any]:
    result = method.result
    return {
        "dataset": _dataset_name(result, method.config or {}),
        "baseline": result["spec"],
        "modalities": sorted(_unimodal_scores(result[reported_split([result])])),
        "seeds": result["seeds"],
        "metric": result.get("metric", "accuracy"),
        "methods": [result],
    }


def _unimodal_scores(metrics: dict[str, Any]) -> dict[str, Any]:
    return metrics.get("unimodal_accuracy") or metrics.get("unimodal_r2") or {}


def _dataset_name(*sources: dict[str, Any]) -> str | None:
    """The first ``dataset`` in the sources, at whatever depth their sections put it."""
    for source in sources:
        name = source.get("dataset")
        if not isinstance(name, str):
            name = _dataset_name(*(v for v in source.values() if isinstance(v, dict)))
        if name is not None:
            return name
    return None


def _read_object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (RecursionError, ValueError) as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a JSON {type(content).__name__}; an object is needed")
    return content


def _read_sealed(path: Path) -> dict[str, Any]:
    try:
        return unseal(path, _read_object(path))
    except RunError as error:
        raise ValueError(str(error)) from error


def _read_optional(path: Path) -> dict[str, Any] | None:
    return _read_object(path) if path.is_file() else None


def _require_keys(path: Path, content: dict[str, Any], keys: Sequence[str]) -> None:
    missing = [key for key in keys if key not in content]
    if missing:
        raise ValueError(f"{path} lacks {missing}; found {sorted(content)}")


def _require_names(path: Path, methods: Sequence[dict[str, Any]]) -> None:
    """Names become those of files, which must stay in the directory, and titles a line of text."""
    for result in methods:
        for key in ("spec", "slug", "title"):
            if not isinstance(result[key], str):
                raise ValueError(f"{path}: {key} is {result[key]!r}; text is needed")
        result["title"] = one_line(result["title"])
        slug = result["slug"]
        if not slug or slug != Path(slug).name or slug == ".." or "\0" in slug or "\\" in slug:
            raise ValueError(f"{path}: slug is {slug[:100]!r}; a plain file name is needed")


def _require_metric(path: Path, results: dict[str, Any]) -> None:
    try:
        primary_metric(results)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _require_baseline(path: Path, results: dict[str, Any]) -> None:
    specs = [result["spec"] for result in results["methods"]]
    if results["baseline"] not in specs:
        raise ValueError(f"{path}: baseline {results['baseline']!r} is not among {specs}")
