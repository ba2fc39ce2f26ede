"""What a directory says, without times and dates: equal for runs that are equal bit for bit."""

import json
import logging
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

# Orbax misses notes of its own in a single item.
logging.getLogger("absl").setLevel(logging.ERROR)

# Of when and where, not of what; or compared by what they hold.
_APART = {"environment.json", ".lock", "errors.log", "config.json", "study.db"}


def content(path: Path) -> dict[str, Any]:
    """File or array -> its content, of a run, a comparison, a tuning or prepared data."""
    found: dict[str, Any] = {}
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path).as_posix()
        if not file.is_file() or file.name in _APART or "tensorboard" in name:
            continue
        if "checkpoints/" in name:
            continue
        if file.name in ("result.json", "results.json"):
            found[name] = _without_times(json.loads(file.read_text()))
        elif file.suffix in (".jsonl", ".npz", ".png") or file.name in ("splits.json", "best.json"):
            found[name] = file.read_bytes()
        elif file.suffix in (".html", ".md", ".csv", ".tex"):
            found[name] = "is there"  # They show seconds.
        else:
            found[name] = file.read_bytes()
    for folder in sorted(path.rglob("checkpoints")):
        steps = sorted(int(entry.name) for entry in folder.iterdir())
        found[f"{folder.relative_to(path)}: steps"] = steps
        place = folder.relative_to(path).as_posix()
        arrays = _arrays(folder / str(steps[-1]))
        found |= {f"{place} {name}": array for name, array in arrays.items()}
    return found


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """Names of what is not equal."""
    return sorted(
        name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)
    )


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_times(v) for k, v in value.items() if "second" not in k}
    return [_without_times(item) for item in value] if isinstance(value, list) else value


def _arrays(path: Path) -> dict[str, bytes]:
    local = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    with ocp.StandardCheckpointer() as checkpointer:
        metadata = checkpointer.metadata(path / "state").item_metadata.tree
        target = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=local), metadata
        )
        restored = checkpointer.restore(path / "state", target)
    leaves = jax.tree_util.tree_leaves_with_path(restored)
    return {jax.tree_util.keystr(name): np.asarray(leaf).tobytes() for name, leaf in leaves}
