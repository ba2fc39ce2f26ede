"""Orbax checkpoints of a run: the last, and the best by mean validation score."""

import dataclasses
import errno
import logging
import os
import shutil
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from masam_jax.config import changed_fields
from masam_jax.config.errors import RunError
from masam_jax.training.storage.atomic_files import plain

_KIND = "masam_jax checkpoint"
_FORMAT = f"{_KIND} 4"

_State = TypeVar("_State")

# Its notices on every save are not for the user of a command line.
logging.getLogger("absl").setLevel(logging.ERROR)


@dataclasses.dataclass(frozen=True)
class RunProgress:
    """What a checkpoint knows beside the state.

    Attributes:
      step: optimizer steps done.
      seconds: time spent on them, in all sessions.
      compile_seconds: the part of it before the first step of each session was done.
      trial_steps: steps that the method's schedule tried between those of the run.
      step_flops: XLA's estimate of the operations of one step; None where there is none.
    """

    step: int = 0
    seconds: float = 0.0
    compile_seconds: float = 0.0
    trial_steps: int = 0
    step_flops: float | None = None

    @property
    def flops_per_step(self) -> float | None:
        """Operations for one step of the run, those tried between steps included."""
        if self.step_flops is None or not self.step:
            return None
        return self.step_flops * (1 + self.trial_steps / self.step)


class Checkpoints:
    """Saves and restores the state of one run; saving goes on in the background."""

    def __init__(self, directory: Path, config: dict[str, Any], read_only: bool = False) -> None:
        """Opens the checkpoints of a run.

        Args:
          directory: where they are; made when the first is saved.
          config: the run's configuration, kept in each checkpoint and compared on restoring.
          read_only: whether to leave the directory alone, in which another process may be saving.
        """
        self._directory = directory.resolve()
        self._config = plain(config)
        self._manager = ocp.CheckpointManager(
            self._directory,
            options=ocp.CheckpointManagerOptions(
                preservation_policy=checkpoint_managers.AnyPreservationPolicy(
                    [
                        checkpoint_managers.LatestN(1),
                        checkpoint_managers.BestN(
                            get_metric_fn=lambda metrics: metrics["score"], n=1
                        ),
                    ]
                ),
                cleanup_tmp_directories=not read_only,
                read_only=read_only,
            ),
        )

    @property
    def latest_step(self) -> int | None:
        """The step of the last whole checkpoint, None without one."""
        return self._manager.latest_step()

    def save(self, state: Any, progress: RunProgress, score: float) -> None:
        """Starts saving; the previous save, if any, is finished first.

        Args:
          state: the state.
          progress: how far it is.
          score: mean validation score over seeds, by which the best checkpoint is kept.

        Raises:
          OSError: that one, or the start of this one, could not be written, or the disk has no room
            for it.
        """
        _check_space(self._directory, sum(leaf.nbytes for leaf in jax.tree.leaves(state)))
        # The next step donates these buffers while they are still being written.
        snapshot = jax.tree.map(jnp.copy, state)
        content = {
            "format": _FORMAT,
            "config": self._config,
            "arrays": _describe(state),
            **dataclasses.asdict(progress),
        }
        self._manager.save(
            progress.step,
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(snapshot), progress=ocp.args.JsonSave(content)
            ),
            metrics={"score": score},
        )

    def restore(self, like: _State) -> tuple[_State, RunProgress]:
        """The last checkpoint.

        Args:
          like: a state of the same structure, shapes and sharding; its values are not read.

        Raises:
          RunError: there is none, it is damaged, or it is of another configuration or model.
        """
        path, step, content = self._latest()
        _check_arrays(path, content["arrays"], _describe(like))
        abstract = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), like
        )
        state = self._read(path, step, "state", ocp.args.StandardRestore(abstract))
        # The restored arrays may belong to the reader; the step donates only what is its own.
        state = jax.tree.map(jnp.copy, state)
        counters = {field.name: content[field.name] for field in dataclasses.fields(RunProgress)}
        return state, RunProgress(**counters)

    def restore_parts(self, like: dict[str, Any]) -> dict[str, Any]:
        """Some fields of the last checkpoint's state; nothing else is read.

        Args:
          like: names of fields of the state, each with a tree of shapes, dtypes and shardings.

        Raises:
          RunError: as `restore`.
        """
        path, step, content = self._latest()
        saved = {k: v for k, v in content["arrays"].items() if k.partition("/")[0] in like}
        _check_arrays(path, saved, _describe(like))
        # Orbax keeps nothing of a field without arrays.
        wanted = {name: tree for name, tree in like.items() if jax.tree.leaves(tree)}
        restore_args = ocp.checkpoint_utils.construct_restore_args(wanted)
        args = ocp.args.PyTreeRestore(wanted, restore_args=restore_args, partial_restore=True)
        return {**like, **self._read(path, step, "state", args)}

    def wait(self) -> None:
        """Returns when everything is on the disk.

        Raises:
          OSError: it could not be written.
        """
        self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits, and releases the directory."""
        self._manager.close()

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _read(self, path: Path, step: int, item: str, args: Any) -> Any:
        try:
            return self._manager.restore(step, args=ocp.args.Composite(**{item: args}))[item]
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EACCES, errno.EMFILE):
                raise
            raise _damaged(path, error) from error
        # Orbax, TensorStore and JSON each raise their own kinds for a damaged file.
        except Exception as error:
            raise _damaged(path, error) from error

    def _latest(self) -> tuple[Path, int, dict[str, Any]]:
        """Path, step and description of the last checkpoint, which is of this configuration."""
        step = self.latest_step
        if step is None:
            raise RunError(f"{self._directory} holds no checkpoint")
        path = self._directory / str(step)
        content = self._read(path, step, "progress", ocp.args.JsonRestore())
        found = content.get("format") if isinstance(content, dict) else None
        if not str(found).startswith(_KIND):
            raise RunError(f"{path} is not a checkpoint of masam_jax")
        if found != _FORMAT:
            raise RunError(f"{path} is a {found!r}; this version reads {_FORMAT!r}")
        changes = changed_fields(content["config"], self._config)
        if changes:
            raise RunError(f"{path} is of another configuration: {'; '.join(changes)}")
        return path, step, content


def _check_arrays(path: Path, saved: dict[str, str], wanted: dict[str, str]) -> None:
    changes = changed_fields(saved, wanted)
    if changes:
        raise RunError(f"{path} is of another model: {'; '.join(changes[:8])}")


def _check_space(directory: Path, size: int) -> None:
    """Orbax's threads meet a full disk with pages of traces; this comes before them."""
    place = next(path for path in (directory, *directory.parents) if path.exists())
    if shutil.disk_usage(place).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(directory))


def _damaged(path: Path, error: Exception) -> RunError:
    reason = str(error).strip().splitlines()
    return RunError(
        f"checkpoint {path} is damaged ({type(error).__name__}: {reason[0] if reason else ''});"
        " delete that directory to go on from an earlier checkpoint, or from the beginning"
    )


def _describe(state: Any) -> dict[str, str]:
    """``{path: "dtype[shape]"}`` of every array."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): f"{leaf.dtype}{list(leaf.shape)}"
        for path, leaf in jax.tree_util.tree_leaves_with_path(state)
    }
