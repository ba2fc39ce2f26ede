"""What a directory says, without times and dates: equal for runs that are equal bit for bit."""

import contextlib
import csv
import json
import logging
import sqlite3
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

# Orbax misses notes of its own in a single item.
logging.getLogger("absl").setLevel(logging.ERROR)

# Of when and where, not of what.
_APART = {"environment.json", ".lock", "errors.log"}
# Trials that were killed leave a row that says so.
_TRIALS = """
    select study_name, value, state, (
        select group_concat(param_name || " " || param_value) from trial_params
        where trial_params.trial_id = trials.trial_id
    )
    from trials join studies using (study_id) left join trial_values using (trial_id)
    where state in ("COMPLETE", "PRUNED") order by study_name, trial_id
"""


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
            found[name] = without_times(json.loads(file.read_text()))
        elif file.name == "study.db":
            with contextlib.closing(sqlite3.connect(file)) as database:
                found[name] = database.execute(_TRIALS).fetchall()
        elif file.name == "table.csv":
            with file.open(newline="") as lines:
                found[name] = [without_times(row) for row in csv.DictReader(lines)]
        elif file.name in ("report.html", "table.md", "table.tex"):
            found[name] = "is there" if file.stat().st_size else "is empty"  # They show seconds.
        else:
            found[name] = file.read_bytes()
    for folder in sorted(path.rglob("checkpoints")):
        place = folder.relative_to(path).as_posix()
        steps = sorted((entry.name for entry in folder.iterdir()), key=lambda x: (len(x), x))
        # Names of any kind: what a killed session left there is a difference.
        found[f"{place}: steps"] = steps
        arrays = {
            f"{step}: {name}": array.tobytes()
            for step in steps
            if step.isdecimal()
            for name, array in checkpoint_arrays(folder / step).items()
        }
        found |= {f"{place} {name}": array for name, array in arrays.items()}
    return found


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """Names of what is not equal."""
    return sorted(
        name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)
    )


def without_times(value: Any) -> Any:
    """JSON without what differs between runs that are equal: seconds, and digests of these."""
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if "second" not in k and k != "sha256"}
        return {k: without_times(v) for k, v in kept.items()}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def checkpoint_arrays(path: Path) -> dict[str, np.ndarray]:
    """Every array of a checkpoint, whatever devices wrote it."""
    local = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    with ocp.StandardCheckpointer() as checkpointer:
        metadata = checkpointer.metadata(path / "state").item_metadata.tree
        target = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=local), metadata
        )
        restored = checkpointer.restore(path / "state", target)
    leaves = jax.tree_util.tree_leaves_with_path(restored)
    return {jax.tree_util.keystr(name): np.asarray(leaf) for name, leaf in leaves}
