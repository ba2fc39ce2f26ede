"""Who may write into a run directory."""

import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from masam_jax.config import OutputConfig
from masam_jax.config.errors import RunError
from masam_jax.training.storage import atomic_files
from masam_jax.training.storage.run_directory import (
    check_output,
    is_locked,
    open_run,
    read_config,
)

CONFIG = {"kind": "train", "method": "masam", "optimization": {"steps": 6}}


def _open(path, config=CONFIG, **options):
    return open_run(OutputConfig(output=str(path), **options), config)


def test_new_run(tmp_path):
    path = tmp_path / "a" / "b"
    with _open(path) as run:
        assert (run.path, run.resumed) == (path, False)
        assert read_config(path)["method"] == "masam"


def test_empty_directory_is_taken(tmp_path):
    with _open(tmp_path) as run:
        assert not run.resumed


def test_a_bucket_is_no_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match=r"^s3://ours/run is in a bucket, where masam train"):
        _open("s3://ours/run")
    assert not list(tmp_path.iterdir())


def test_existing_run_is_kept(tmp_path):
    _open(tmp_path / "run").__exit__(None, None, None)
    with pytest.raises(RunError, match="--resume goes on with it, --overwrite deletes it"):
        _open(tmp_path / "run")


def test_overwrite(tmp_path):
    path = tmp_path / "run"
    _open(path).__exit__(None, None, None)
    (path / "checkpoints").mkdir()
    (path / "result.json").write_text("{}")
    with _open(path, {**CONFIG, "method": "sam"}, overwrite=True):
        assert read_config(path)["method"] == "sam"
        assert not (path / "checkpoints").exists()
        assert not (path / "result.json").exists()


@pytest.mark.parametrize("config", [None, {"format": "other"}, {"a": 1}])
@pytest.mark.parametrize("option", ["overwrite", "resume"])
def test_foreign_directory_is_left_alone(tmp_path, config, option):
    (tmp_path / "thesis.tex").write_text("years of work")
    if config is not None:
        (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(RunError, match="is not a run directory of masam_jax"):
        _open(tmp_path, **{option: True})
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_resume(tmp_path):
    _open(tmp_path).__exit__(None, None, None)
    with _open(tmp_path, resume=True) as run:
        assert run.resumed


def test_resume_without_a_run(tmp_path):
    with pytest.raises(RunError, match="holds no run to resume"):
        _open(tmp_path / "run", resume=True)
    assert not (tmp_path / "run").exists()


def test_resume_names_what_changed(tmp_path):
    _open(tmp_path).__exit__(None, None, None)
    changed = {"kind": "train", "method": "sam", "optimization": {"steps": 7}}
    with pytest.raises(RunError, match=r"method: 'masam' -> 'sam'; optimization\.steps: 6 -> 7"):
        _open(tmp_path, changed, resume=True)


def test_one_writer_at_a_time(tmp_path):
    assert not is_locked(tmp_path)
    with _open(tmp_path):
        assert is_locked(tmp_path)
        with pytest.raises(RunError, match="in use by another process"):
            _open(tmp_path, resume=True)
    assert not is_locked(tmp_path)
    with _open(tmp_path, resume=True):
        pass


def test_a_file_is_no_directory(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(RunError, match="is a file"):
        _open(tmp_path / "run")


def test_options_that_exclude_each_other():
    with pytest.raises(ValueError, match="exclude each other"):
        OutputConfig(output="x", resume=True, overwrite=True)
    with pytest.raises(ValueError, match="--resume needs --output"):
        OutputConfig(resume=True)


class _Killed(BaseException):
    """Stands for SIGKILL: nothing of the program runs after it."""


def _killed_at(monkeypatch, number):
    """Every move, removal and rename counts; the given one does not take place."""
    count = iter(range(1000))

    def counted(function):
        def call(*args, **kwargs):
            if next(count) == number:
                raise _Killed
            return function(*args, **kwargs)

        return call

    monkeypatch.setattr(os, "replace", counted(os.replace))
    monkeypatch.setattr(Path, "unlink", counted(Path.unlink))
    monkeypatch.setattr(shutil, "rmtree", counted(shutil.rmtree))
    # What a killed process does not get to.
    monkeypatch.setattr(atomic_files.os, "unlink", lambda path: None)


def _a_run(path):
    _open(path).__exit__(None, None, None)
    (path / "checkpoints" / "4").mkdir(parents=True)
    (path / "result.json").write_text('{"of": "the old run"}')
    (path / "metrics.jsonl").write_text('{"step": 4}\n')
    (path / "latest").symlink_to(path / "checkpoints")


@pytest.mark.parametrize("then", [{}, {"resume": True}, {"overwrite": True}])
@pytest.mark.parametrize("number", range(6))
def test_killed_while_overwriting(tmp_path, monkeypatch, number, then):
    """At every moment: the old run is whole, or it is gone and the directory can be taken."""
    path = tmp_path / "run"
    _a_run(path)
    with monkeypatch.context() as patch:
        _killed_at(patch, number)
        with pytest.raises(_Killed):
            _open(path, {**CONFIG, "method": "sam"}, overwrite=True)
    assert (path / "config.json").is_file()
    if number == 0:  # Nothing was deleted yet.
        assert read_config(path)["method"] == "masam"
        return
    with pytest.raises(RunError, match="was being overwritten when that was stopped"):
        read_config(path)
    with _open(path, {**CONFIG, "method": "pmr"}, **then) as run:
        assert not run.resumed
        assert read_config(path)["method"] == "pmr"
        assert sorted(entry.name for entry in path.iterdir()) == [".lock", "config.json"]


@pytest.mark.parametrize("then", [{}, {"resume": True}, {"overwrite": True}])
def test_killed_while_the_configuration_is_written(tmp_path, monkeypatch, then):
    path = tmp_path / "run"
    with monkeypatch.context() as patch:
        _killed_at(patch, 0)
        with pytest.raises(_Killed):
            _open(path)
    assert not (path / "config.json").exists()
    assert len(list(path.iterdir())) == 2  # The lock, and half a configuration.
    with _open(path, **then) as run:
        assert not run.resumed
        assert sorted(entry.name for entry in path.iterdir()) == [".lock", "config.json"]


def test_files_that_were_never_finished_are_removed_on_resuming(tmp_path):
    _a_run(tmp_path)
    left = tmp_path / "checkpoints" / ".result.json.unfinished-ab12"
    left.write_text("{")
    (tmp_path / ".htaccess").write_text("mine")
    with _open(tmp_path, resume=True):
        assert not left.exists()
        assert (tmp_path / ".htaccess").exists()


def test_a_damaged_configuration_can_be_overwritten(tmp_path):
    _a_run(tmp_path)
    (tmp_path / "config.json").write_text("{")
    for option in ({}, {"resume": True}):
        with pytest.raises(RunError, match=r"config\.json is damaged"):
            _open(tmp_path, **option)
    with _open(tmp_path, overwrite=True):
        assert read_config(tmp_path)["method"] == "masam"
        assert not (tmp_path / "result.json").exists()


def test_a_run_of_another_version_can_be_overwritten(tmp_path):
    (tmp_path / "config.json").write_text('{"format": "masam_jax run 1"}')
    with pytest.raises(RunError, match="has format 'masam_jax run 1', expected"):
        _open(tmp_path, resume=True)
    with _open(tmp_path, overwrite=True):
        assert read_config(tmp_path)["method"] == "masam"


@pytest.mark.parametrize("place", ["/proc/x", "/proc/x/y", "/dev/null/x", "file/x"])
def test_a_place_where_no_run_can_be_is_refused(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    for refused in (_open, lambda path: check_output(OutputConfig(output=path))):
        with pytest.raises(
            RunError, match=r"the run cannot be written to \S+: .*; another --output"
        ):
            refused(place)
    assert os.listdir() == ["file"]


def test_asking_where_a_run_would_go_leaves_nothing(tmp_path):
    path = tmp_path / "a" / "b"
    assert check_output(OutputConfig(output=str(path)))
    assert not list(tmp_path.iterdir())
    with pytest.raises(RunError, match="holds no run to resume"):
        check_output(OutputConfig(output=str(path), resume=True))
    _a_run(path)
    with pytest.raises(RunError, match="--overwrite deletes it"):
        check_output(OutputConfig(output=str(path)))
    for option in ({"resume": True}, {"overwrite": True}):
        assert not check_output(OutputConfig(output=str(path), **option))
    assert (path / "result.json").is_file()


def test_a_directory_that_may_not_be_written(tmp_path, monkeypatch):
    """As another user finds it; root may write everywhere."""
    path = tmp_path / "run"
    _a_run(path)
    output = OutputConfig(output=str(path), resume=True)
    message = rf"cannot be written to {path}: permission denied \({path}"
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda place, mode: False)
        with pytest.raises(RunError, match=message):
            check_output(output)

    def refuse(place, *args):
        raise PermissionError(errno.EACCES, "Permission denied", str(place))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(RunError, match=message):
        open_run(output, CONFIG)


def _stop_late(path, error, name="splits.json", **options):
    """An error after the run directory was made."""
    with _open(path, **options):
        (path / name).mkdir(parents=True)
        raise error


def test_a_mistake_that_shows_late_leaves_nothing(tmp_path):
    """The corrected command is then not refused."""
    path = tmp_path / "run"
    with pytest.raises(RunError, match="late"):
        _stop_late(path, RunError("late"))
    assert not path.exists()
    path.mkdir()
    with pytest.raises(RunError, match="late"):
        _stop_late(path, RunError("late"))
    assert not list(path.iterdir())


def test_what_is_no_mistake_or_was_trained_stays(tmp_path):
    path = tmp_path / "run"
    with pytest.raises(OSError, match="disk"):
        _stop_late(path, OSError("disk"))
    assert (path / "config.json").is_file()
    with pytest.raises(RunError, match="late"):
        _stop_late(path, RunError("late"), "checkpoints/2", overwrite=True)
    assert (path / "checkpoints" / "2").is_dir()
    shutil.rmtree(path / "checkpoints")
    with pytest.raises(RunError, match="late"):
        _stop_late(path, RunError("late"), resume=True)
    assert (path / "config.json").is_file()


def test_a_run_of_an_earlier_version_goes_on_where_the_new_field_is_neutral(tmp_path):
    older = {"kind": "train", "evaluation": {"patience": 3}}
    _open(tmp_path, older).__exit__(None, None, None)
    now = {"kind": "train", "evaluation": {"patience": 3, "min_epochs": 0}}
    with _open(tmp_path, now, resume=True) as run:
        assert run.resumed
    now["evaluation"]["min_epochs"] = 4
    with pytest.raises(RunError, match=r"configuration: evaluation\.min_epochs: 0 -> 4\."):
        _open(tmp_path, now, resume=True)
