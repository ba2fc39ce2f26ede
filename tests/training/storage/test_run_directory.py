"""Who may write into a run directory."""

import json

import pytest

from masam_jax.config import OutputConfig
from masam_jax.config.errors import RunError
from masam_jax.training.storage.run_directory import is_locked, open_run, read_config

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
