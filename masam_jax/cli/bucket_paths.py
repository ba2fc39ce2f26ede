"""Paths of runs in buckets, ``gs://`` and ``s3://``, as local ones for the time of a command."""

import dataclasses
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from masam_jax.cli.commands import Command, Compare, Evaluate, ExportRun, PredictFiles, Run, Train
from masam_jax.config.errors import RunError
from masam_jax.training.storage.buckets.bucket import is_bucket
from masam_jax.training.storage.buckets.run_copy import local_copy, run_in_bucket


@contextmanager
def local_output(command: Run, note: Callable[[str], None]) -> Iterator[Run]:
    """While entered, a command that writes a local run, which is copied to the bucket meant.

    Args:
      command: as asked for; taken as it is where its output is in no bucket.
      note: told where the run is written first.

    Raises:
      RunError: the command, or several processes, cannot write there; or as `run_in_bucket`.
      BucketError: as `run_in_bucket`.
    """
    place = command.output.output or ""
    if not is_bucket(place):
        if re.match(r"\w+://", place):
            raise RunError(f"--output {place} is no directory, and no path gs://… or s3://…")
        yield command
        return
    if not isinstance(command, Train | Compare):
        kind = type(command).__name__.lower()
        raise RunError(f"masam {kind} needs a local directory for --output; {place} is in a bucket")
    processes = command.distribution.num_processes
    if processes > 1:
        raise RunError(
            f"{place} is in a bucket, where one process can write, and this run has {processes};"
            " --output needs a directory that all of them see"
        )
    with run_in_bucket(command.output, note) as output:
        yield dataclasses.replace(command, output=output)


@contextmanager
def local_run(command: Command) -> Iterator[Command]:
    """While entered, a command that reads a local copy of the run in a bucket that was meant.

    Args:
      command: as asked for; taken as it is where it reads no run in a bucket.

    Raises:
      RunError: there is no run; what is made of it has no place; or another path is in a bucket.
      BucketError: the bucket cannot be read.
    """
    reads = isinstance(command, Evaluate | PredictFiles | ExportRun)
    for field in dataclasses.fields(command):
        value = getattr(command, field.name)
        for place in value if isinstance(value, tuple) else (value,):
            if isinstance(place, str) and is_bucket(place) and not (reads and field.name == "run"):
                raise RunError(f"{place} is in a bucket; a local path is needed here")
    if not isinstance(command, Evaluate | PredictFiles | ExportRun) or not is_bucket(command.run):
        yield command
        return
    if isinstance(command, ExportRun) and command.output is None:
        raise RunError(f"{command.run} is in a bucket; --output, a local directory, is needed")
    with local_copy(command.run) as path:
        yield dataclasses.replace(command, run=str(path))
