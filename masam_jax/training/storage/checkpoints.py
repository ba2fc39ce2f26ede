"""Orbax checkpoints of a run: the last, and the best before it by mean validation score.

A checkpoint is written into a folder beside its own, all its files are digested there, and one
rename makes it a checkpoint. What has another name than a step is none, and is removed when the run
goes on.
"""

import dataclasses
import errno
import logging
import math
import os
import shutil
import threading
from collections.abc import Collection
from pathlib import Path
from typing import Any, TypeVar, cast

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

from masam_jax.config import added_length, changed_fields, completed
from masam_jax.config.errors import RunError
from masam_jax.training.storage.atomic_files import plain, read_json
from masam_jax.training.storage.digests import DIGESTS_FILE, find_damage, write_digests
from masam_jax.training.storage.processes import agreed, barrier, is_primary
from masam_jax.training.storage.younger_arrays import filled_up, path_of, without, younger_arrays

_KIND = "masam_jax checkpoint"
_FORMAT = f"{_KIND} 5"

# A NamedTuple.
_State = TypeVar("_State", bound=tuple[Any, ...])

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


class DamagedCheckpoint(RunError):
    """The last checkpoint is damaged; the message names the file, and what can be done."""


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
        self._read_only = read_only
        if not read_only:
            if is_primary():
                _remove_unfinished(self._directory)
            barrier("checkpoints")
        self._steps = _steps(self._directory)
        self._saved = self._steps[-1:]
        self._scores: dict[int, float] = {}
        self._checkpointer: ocp.AsyncCheckpointer | None = None
        self._saving: threading.Thread | None = None
        self._failure: BaseException | None = None

    @property
    def latest_step(self) -> int | None:
        """The step of the last checkpoint, also while it is being saved; None without one."""
        return max(self._steps, default=None)

    @property
    def saved_step(self) -> int | None:
        """The step of the last checkpoint that is whole on the disk; None without one."""
        return self._saved[-1] if self._saved else None

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
        self.wait()
        _check_space(self._directory, sum(leaf.nbytes for leaf in jax.tree.leaves(state)))
        # The next step donates these buffers while they are still being written.
        snapshot = jax.tree.map(jnp.copy, _given(state))
        content = {
            "format": _FORMAT,
            "config": self._config,
            "arrays": _describe(state),
            "score": plain(score),
            **dataclasses.asdict(progress),
        }
        if self._checkpointer is None:
            self._checkpointer = ocp.AsyncCheckpointer(ocp.CompositeCheckpointHandler())
        unfinished = self._directory / f"{progress.step}.unfinished"
        self._checkpointer.save(
            unfinished,
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(snapshot), progress=ocp.args.JsonSave(content)
            ),
            force=True,
        )
        self._steps = sorted({*self._steps, progress.step})
        self._scores[progress.step] = score
        self._saving = threading.Thread(
            target=self._finish, args=(self._checkpointer, unfinished, progress.step), name="save"
        )
        self._saving.start()

    def restore(self, like: _State, fall_back: bool = False) -> tuple[_State, RunProgress]:
        """The last checkpoint.

        Args:
          like: a state of the same structure, shapes and sharding; its values are not read. Fields
            that are None may be unknown to who saved, and so may `younger_arrays`: they are zero.
          fall_back: where the last checkpoint is damaged, whether to take the last whole one; the
            damaged ones are then removed, unless the checkpoints are open for reading alone.

        Raises:
          DamagedCheckpoint: it is damaged; with ``fall_back``, all are.
          RunError: there is none, or it is of another configuration or model.
        """
        path, step, content = self._choose(fall_back)
        lacking = _check_arrays(path, content["arrays"], _describe(like))
        abstract = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), _given(like)
        )
        if lacking:
            found = self._read_some(path, abstract, lacking)
        else:
            found = self._read(path, "state", ocp.args.StandardRestore(abstract))
        # The restored arrays may belong to the reader; the step donates only what is its own.
        state = cast(Any, like)._replace(**jax.tree.map(jnp.copy, found))
        if not self._read_only:
            damaged = [other for other in self._steps if other > step]
            self._keep([other for other in self._steps if other <= step], damaged)
        counters = {field.name: content[field.name] for field in dataclasses.fields(RunProgress)}
        return state, RunProgress(**counters)

    def restored_step(self, fall_back: bool = False) -> int:
        """The step of the checkpoint that `restore` would take.

        Raises:
          RunError: as `restore`.
        """
        return self._choose(fall_back)[1]

    def restore_parts(self, like: dict[str, Any], fall_back: bool = False) -> dict[str, Any]:
        """Some fields of the last checkpoint's state; nothing else is loaded.

        Args:
          like: names of fields of the state, each with a tree of shapes, dtypes and shardings.
          fall_back: as for `restore`.

        Raises:
          RunError: as `restore`.
        """
        path, _, content = self._choose(fall_back)
        saved = {k: v for k, v in content["arrays"].items() if k.partition("/")[0] in like}
        lacking = _check_arrays(path, saved, _describe(like))
        return self._read_some(path, like, lacking)

    def wait(self) -> None:
        """Returns when everything is on the disk.

        Raises:
          OSError: it could not be written.
        """
        if self._saving is not None:
            self._saving.join()
            self._saving = None
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def close(self) -> None:
        """Waits, and releases what saving needs.

        Raises:
          OSError: as `wait`.
        """
        try:
            self.wait()
        finally:
            if self._checkpointer is not None:
                self._checkpointer.close()
                self._checkpointer = None

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _finish(self, checkpointer: ocp.AsyncCheckpointer, unfinished: Path, step: int) -> None:
        """Makes what Orbax writes a checkpoint, and removes those that are not needed any more."""
        try:
            checkpointer.wait_until_finished()
            if is_primary():
                write_digests(unfinished)
                os.rename(unfinished, self._directory / str(step))
                self._saved = [step]
                self._keep(self._steps, [])
        # Of whatever kind: `wait` raises it where somebody listens.
        except BaseException as error:
            self._failure = error

    def _keep(self, whole: list[int], damaged: list[int]) -> None:
        """Removes damaged checkpoints, and all but the last and, of the earlier ones, the best.

        So the last is not alone where it is the best: another stands in should it be damaged.
        """
        *earlier, last = sorted(whole)
        kept = {last, *sorted(earlier, key=lambda step: (self._score(step), step))[-1:]}
        if is_primary():
            for step in {*whole, *damaged} - kept:
                removed = self._directory / f"{step}.removed"
                os.rename(self._directory / str(step), removed)
                shutil.rmtree(removed)
        self._steps = sorted(kept)

    def _score(self, step: int) -> float:
        """The score of a checkpoint; below all others where it has none."""
        if step not in self._scores:
            try:
                score = _progress(self._directory / str(step)).get("score")
            except (RunError, OSError):
                score = None
            self._scores[step] = score if isinstance(score, int | float) else -math.inf
        score = self._scores[step]
        return -math.inf if math.isnan(score) else score

    def _read_some(self, path: Path, like: dict[str, Any], lacking: Collection[str]) -> Any:
        """A state like ``like``, zero where the checkpoint lacks something."""
        # Orbax keeps nothing of what has no arrays.
        wanted = without(like, lacking) or {}
        restore_args = ocp.checkpoint_utils.construct_restore_args(wanted)
        args = ocp.args.PyTreeRestore(wanted, restore_args=restore_args, partial_restore=True)
        return filled_up(like, self._read(path, "state", args))

    def _read(self, path: Path, item: str, args: Any) -> Any:
        checkpointer = ocp.Checkpointer(ocp.CompositeCheckpointHandler())
        try:
            return checkpointer.restore(path, args=ocp.args.Composite(**{item: args}))[item]
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EACCES, errno.EMFILE):
                raise
            raise self._damaged(path, _reason(error)) from error
        # Orbax, TensorStore and JSON each raise their own kinds for a damaged file.
        except Exception as error:
            raise self._damaged(path, _reason(error)) from error
        finally:
            checkpointer.close()

    def _choose(self, fall_back: bool) -> tuple[Path, int, dict[str, Any]]:
        """Path, step and description of a whole checkpoint, which is of this configuration."""
        if not self._steps:
            raise RunError(f"{self._directory} holds no checkpoint")
        # Who reads all files once more for their digests is one process, whatever it finds.
        step, failure = -1, None
        if is_primary():
            try:
                step = self._whole_step(fall_back)
            except (RunError, OSError) as error:
                failure = error
        step = agreed(step)
        if failure is not None:
            raise failure
        path = self._directory / str(step)
        if step < 0:
            raise RunError(f"{self._directory}: process 0 could not read the checkpoint")
        content = _progress(path)
        _check_format(path, content)
        saved, own = completed(content["config"]), completed(self._config)
        changes = changed_fields(saved, own)
        if changes and added_length(saved, own) is None:
            raise RunError(f"{path} is of another configuration: {'; '.join(changes)}")
        return path, step, content

    def _whole_step(self, fall_back: bool) -> int:
        last = self._steps[-1]
        path = self._directory / str(last)
        damage = find_damage(path)
        if damage is None:
            return last
        if self._read_only and not path.exists():  # Who is training has just replaced it.
            self._steps = _steps(self._directory)
            return self._whole_step(fall_back)
        if not (path / DIGESTS_FILE).exists():
            # One that was never digested is of another version, or of somebody else.
            try:
                content = _progress(path)
            except RunError:
                content = {"format": _FORMAT}
            _check_format(path, content)
        whole = self._last_whole(before=last) if fall_back else None
        if whole is None:
            raise self._damaged(path, damage)
        return whole

    def _last_whole(self, before: int) -> int | None:
        for step in reversed(self._steps):
            if step < before and find_damage(self._directory / str(step)) is None:
                return step
        return None

    def _damaged(self, path: Path, damage: str) -> DamagedCheckpoint:
        whole = self._last_whole(before=int(path.name))
        if whole is None:
            cure = "no other is whole: --overwrite starts the run again"
        else:
            cure = (
                f"the one of step {whole} is whole: --fall-back takes it (in Python,"
                " fall_back=True), and training goes on from there"
            )
        return DamagedCheckpoint(f"checkpoint {path} is damaged: {damage}; {cure}")


def _steps(directory: Path) -> list[int]:
    if not directory.is_dir():
        return []
    return sorted(int(entry.name) for entry in directory.iterdir() if entry.name.isdecimal())


def _remove_unfinished(directory: Path) -> None:
    """Removes what a killed session left: checkpoints half written, or half removed."""
    if directory.is_dir():
        for entry in directory.iterdir():
            if entry.is_dir() and not entry.name.isdecimal():
                shutil.rmtree(entry)


def _progress(path: Path) -> dict[str, Any]:
    """What a checkpoint says of itself.

    Raises:
      RunError: it is damaged.
    """
    try:
        return read_json(path / "progress" / "metadata")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RunError(f"{path} is damaged: progress/metadata is missing") from error


def _check_format(path: Path, content: dict[str, Any]) -> None:
    found = content.get("format")
    if not str(found).startswith(_KIND):
        raise RunError(f"{path} is not a checkpoint of masam_jax")
    if found != _FORMAT:
        raise RunError(f"{path} is a {found!r}; this version reads {_FORMAT!r}")


def _check_arrays(path: Path, saved: dict[str, str], wanted: dict[str, str]) -> Collection[str]:
    """Which of the wanted arrays the checkpoint lacks, being older than they are."""
    lacking = younger_arrays(saved, wanted)
    changes = changed_fields(saved, {k: v for k, v in wanted.items() if k not in lacking})
    if changes:
        raise RunError(f"{path} is of another model: {'; '.join(changes[:8])}")
    return lacking


def _check_space(directory: Path, size: int) -> None:
    """Orbax's threads meet a full disk with pages of traces; this comes before them."""
    place = next(path for path in (directory, *directory.parents) if path.exists())
    if shutil.disk_usage(place).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(directory))


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"


def _given(state: Any) -> dict[str, Any]:
    """The fields of a state that are not None, which older versions need not have had."""
    return {name: value for name, value in state._asdict().items() if value is not None}


def _describe(state: Any) -> dict[str, str]:
    """``{path: "dtype[shape]"}`` of every array."""
    return {
        path_of(path): f"{leaf.dtype}{list(leaf.shape)}"
        for path, leaf in jax.tree_util.tree_leaves_with_path(state)
    }
