"""The runs below a directory, as ``masam runs`` lists them."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from masam_jax.config.errors import RunError
from masam_jax.methods import parse_method
from masam_jax.training.storage.atomic_files import read_json
from masam_jax.training.storage.run_directory import is_locked, read_config


@dataclass(frozen=True)
class RunSummary:
    """One run.

    Attributes:
      path: its directory.
      methods: specifications.
      dataset: name of the data set.
      seeds: number of seeds.
      step: steps that checkpoints or results have behind them, summed over methods.
      steps: steps planned, summed over methods.
      status: ``"finished"``, ``"running"``, ``"interrupted"`` or ``"damaged"``.
      score: ``(method, metric, [S])`` of the method with the best mean; None before one is
        finished.
    """

    path: Path
    methods: tuple[str, ...]
    dataset: str
    seeds: int
    step: int
    steps: int
    status: str
    score: tuple[str, str, list[float | None]] | None


def list_runs(root: Path) -> list[RunSummary]:
    """All runs in or below ``root``, sorted by path; a comparison counts as one, a tuning as none.

    Raises:
      RunError: ``root`` is no directory.
    """
    if not root.is_dir():
        raise RunError(f"{root} is no directory; expected one that holds runs")
    found = []
    for directory, subdirectories, files in os.walk(root):
        subdirectories.sort()
        if "config.json" not in files:
            continue
        try:
            config = read_config(Path(directory))
        except RunError:
            continue
        subdirectories.clear()
        # A tuning keeps no run of those that it tried.
        if config["kind"] != "tune":
            found.append(_summarize(Path(directory), config))
    return found


def _summarize(path: Path, config: dict[str, Any]) -> RunSummary:
    comparison = config["kind"] == "compare"
    specs = tuple(config["methods"]) if comparison else (config["method"],)
    steps = _planned_steps(path, config)
    done, results, damaged = 0, [], False
    for spec in specs:
        place = path / "methods" / parse_method(spec).slug if comparison else path
        try:
            result = _read_result(place)
        except RunError:
            result, damaged = None, True
        if result is not None:
            results.append(result)
        # A finished method that stopped early has no step left to do.
        done += steps if result is not None else _checkpoint_step(place)
    finished = len(results) == len(specs) and (not comparison or (path / "results.json").is_file())
    status = "finished" if finished else "running" if is_locked(path) else "interrupted"
    return RunSummary(
        path=path,
        methods=specs,
        dataset=config["data"]["dataset"],
        seeds=config["seeds"]["seeds"],
        step=done,
        steps=steps * len(specs),
        status="damaged" if damaged else status,
        score=_best(results),
    )


def _planned_steps(path: Path, config: dict[str, Any]) -> int:
    """Steps of one method; of a run measured in epochs, by the size of its training split."""
    optimization = config["optimization"]
    if optimization["epochs"] is None:
        return optimization["steps"]
    splits = path / "splits.json"
    if not splits.is_file():
        return 0
    size = read_json(splits)["sizes"]["train"]
    return optimization["epochs"] * -(-size // optimization["batch_size"])


def _read_result(place: Path) -> dict[str, Any] | None:
    path = place / "result.json"
    return read_json(path) if path.is_file() else None


def _checkpoint_step(place: Path) -> int:
    checkpoints = place / "checkpoints"
    if not checkpoints.is_dir():
        return 0
    return max(
        (int(entry.name) for entry in checkpoints.iterdir() if entry.name.isdigit()), default=0
    )


def _best(results: list[dict[str, Any]]) -> tuple[str, str, list[float | None]] | None:
    scores = [
        (r["title"], r["metric"], (r.get("test") or r["validation"])[r["metric"]]) for r in results
    ]
    return max(scores, key=lambda item: _mean(item[2]), default=None)


def _mean(values: list[float | None]) -> float:
    return sum(-1.0 if value is None else value for value in values) / len(values)
