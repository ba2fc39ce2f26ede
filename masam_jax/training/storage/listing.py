"""The runs below a directory, as ``masam runs`` lists them."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from masam_jax.config.errors import RunError
from masam_jax.training.storage.atomic_files import read_json
from masam_jax.training.storage.run_config import check_config
from masam_jax.training.storage.run_directory import is_locked, read_config
from masam_jax.training.storage.sealed_files import read_sealed_json


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
      reason: what is wrong with a damaged one.
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
    reason: str = ""


def list_runs(root: Path) -> list[RunSummary]:
    """All runs in or below ``root``, sorted by path; a comparison counts as one, a tuning as none.

    A directory whose ``config.json`` is not that of a run is listed as damaged.

    Raises:
      RunError: ``root`` is no directory.
    """
    if not root.is_dir():
        raise RunError(f"{root} is no directory; expected one that holds runs")
    found = []
    for directory, subdirectories, files in os.walk(root):
        subdirectories.sort()
        if "config.json" not in [*files, *subdirectories]:
            continue
        path = Path(directory)
        try:
            config = read_config(path)
            # A tuning keeps no run of those that it tried.
            found += [] if config.get("kind") == "tune" else [_summarize(path, config)]
        except (RunError, OSError) as error:
            found.append(_damaged(path, str(error)))
        # What files hold that are no longer what was written, nobody can foresee.
        except Exception as error:
            reason = f"{type(error).__name__}: {str(error)[:200]}"
            found.append(_damaged(path, f"{path}: its files do not fit each other ({reason})"))
        else:
            subdirectories.clear()
    return found


def _damaged(path: Path, reason: str) -> RunSummary:
    return RunSummary(path, (), "", 0, 0, 0, "damaged", None, reason)


def _summarize(path: Path, config: dict[str, Any]) -> RunSummary:
    checked = check_config(path, config)
    comparison, methods = checked.is_comparison, checked.methods
    specs = tuple(method.spec for method in methods)
    steps = _planned_steps(path, config)
    done, results, reason = 0, [], ""
    for method in methods:
        place = path / "methods" / method.slug if comparison else path
        try:
            result = _read_result(place)
        except RunError as error:
            result, reason = None, str(error)
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
        status="damaged" if reason else status,
        score=_best(results),
        reason=reason,
    )


def _planned_steps(path: Path, config: dict[str, Any]) -> int:
    """Steps of one method; of a run measured in epochs, by the size of its training split."""
    optimization = config["optimization"]
    if optimization["epochs"] is None:
        return optimization["steps"]
    splits = path / "splits.json"
    if not splits.is_file():
        return 0
    try:
        size = int(read_json(splits)["sizes"]["train"])
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{splits} is damaged: {error!r}") from error
    return optimization["epochs"] * -(-size // optimization["batch_size"])


def _read_result(place: Path) -> dict[str, Any] | None:
    """A method's result, None while it has none.

    Raises:
      RunError: it is damaged.
    """
    path = place / "result.json"
    if not path.is_file():
        return None
    result = read_sealed_json(path)
    try:
        _mean(_scores(result)[2])
    except (KeyError, TypeError, AttributeError, ZeroDivisionError) as error:
        raise RunError(f"{path} is damaged: it holds no scores ({error!r})") from error
    return result


def _scores(result: dict[str, Any]) -> tuple[str, str, list[float | None]]:
    metric = result["metric"]
    return result["title"], metric, (result.get("test") or result["validation"])[metric]


def _checkpoint_step(place: Path) -> int:
    checkpoints = place / "checkpoints"
    if not checkpoints.is_dir():
        return 0
    return max(
        (int(entry.name) for entry in checkpoints.iterdir() if entry.name.isdigit()), default=0
    )


def _best(results: list[dict[str, Any]]) -> tuple[str, str, list[float | None]] | None:
    return max(map(_scores, results), key=lambda item: _mean(item[2]), default=None)


def _mean(values: list[float | None]) -> float:
    return sum(-1.0 if value is None else value for value in values) / len(values)
