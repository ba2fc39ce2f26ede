"""What each logger writes, also where a run goes on; all of it offline."""

import csv
import json
import sqlite3
import sys
import time
import warnings

import numpy as np
import pytest

from masam_jax.config.errors import RunError
from masam_jax.training.storage.loggers import LOGGERS, find_loggers
from masam_jax.training.storage.loggers.remote import Unreliable
from masam_jax.training.storage.metrics_log import MetricsLog

CONFIG = {"kind": "train", "method": "masam", "seeds": {"seeds": 2, "seed_offset": 5}}


def _log(directory, step, *names):
    return MetricsLog(directory, step, find_loggers(names), CONFIG)


def _two_sessions(directory, name, pause=0.0):
    """Steps 2, 4 and 6; killed after the checkpoint of step 4, and gone on with."""
    with _log(directory, 0, name) as log:
        for step in (2, 4, 6):
            log.write({"step": step, "split": "train", "loss": np.float32([step, step + 1])})
    time.sleep(pause)
    with _log(directory, 4, name) as log:
        log.write({"step": 6, "split": "train", "loss": [60, 61]})
        log.write({"step": 6, "split": "validation", "score": {"a": [1, 2], "b": [0, None]}})
        log.sync()
        log.write({"step": 8, "split": "train", "loss": [8, 9]})


EXPECTED = {2: 2.5, 4: 4.5, 6: 60.5, 8: 8.5}


def test_events_hold_the_mean_over_seeds(tmp_path):
    with _log(tmp_path, 0, "tensorboard") as log:
        log.write({"step": 3, "split": "train", "accuracy": [0.25, 0.75], "score": {"a": [1, 3]}})
    (events,) = (tmp_path / "tensorboard").iterdir()
    content = events.read_bytes()
    assert b"train/accuracy" in content
    assert b"train/score/a" in content
    assert np.float32(2.0).tobytes() in content


def test_events_of_what_is_not_a_number_are_written_without_a_warning(tmp_path, caplog):
    with _log(tmp_path, 0, "tensorboard") as log:
        log.write({"step": 3, "split": "train", "switching_rate": [None, np.nan], "loss": [1, 2]})
    (events,) = (tmp_path / "tensorboard").iterdir()
    assert b"train/switching_rate" in events.read_bytes()
    assert np.float32(1.5).tobytes() in events.read_bytes()
    assert not caplog.records


def test_a_csv_file_has_every_seed_and_each_step_once(tmp_path):
    _two_sessions(tmp_path, "csv")
    with (tmp_path / "metrics.csv").open(newline="") as file:
        lines = list(csv.reader(file))
    assert lines[0] == ["step", "metric", "mean", "seed_5", "seed_6"]
    losses = {int(line[0]): float(line[2]) for line in lines[1:] if line[1] == "train/loss"}
    assert losses == EXPECTED
    assert ["6", "validation/score/a", "1.5", "1.0", "2.0"] in lines
    assert ["6", "validation/score/b", "", "0.0", ""] in lines
    assert len(lines) == 1 + 4 + 2


def test_a_csv_file_that_was_cut_short_loses_that_line(tmp_path):
    _two_sessions(tmp_path, "csv")
    path = tmp_path / "metrics.csv"
    whole = path.read_text()
    path.write_text(whole[:-4])
    with _log(tmp_path, 6, "csv") as log:
        log.write({"step": 8, "split": "train", "loss": [8, 9]})
    assert path.read_text() == whole


# MLflow's own use of SQLAlchemy.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_mlflow_has_one_run_of_both_sessions(tmp_path, monkeypatch):
    database = tmp_path / "mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database}")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    (tmp_path / "run").mkdir()
    _two_sessions(tmp_path / "run", "mlflow")
    with sqlite3.connect(database) as connection:
        rows = connection.execute("SELECT key, value, step, is_nan FROM metrics").fetchall()
        runs = connection.execute("SELECT status, name FROM runs").fetchall()
        params = dict(connection.execute("SELECT key, value FROM params").fetchall())
        experiments = connection.execute("SELECT name FROM experiments").fetchall()
    connection.close()
    assert runs == [("FINISHED", "run")]
    assert ("mine",) in experiments
    assert params["seeds.seed_offset"] == "5"
    # The later value of a step that was logged twice is among its values.
    losses = {(step, value) for key, value, step, _ in rows if key == "train/loss"}
    assert losses >= set(EXPECTED.items())
    assert {value for key, value, *_ in rows if key == "validation/score/a"} == {1.5}
    assert not [row for row in rows if row[0] == "validation/score/b"]


def test_wandb_goes_on_with_its_run(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    _two_sessions(tmp_path, "wandb", pause=1.1)  # It names its folders by the second.
    known = json.loads((tmp_path / "loggers.json").read_text())["wandb"]
    content, deadline = b"", time.monotonic() + 60
    while b"60.5" not in content and time.monotonic() < deadline:
        time.sleep(0.1)  # Its own process writes, and may do so after finish() returned.
        files = sorted((tmp_path / "wandb").glob(f"offline-run-*-{known}/run-{known}.wandb"))
        content = b"".join(path.read_bytes() for path in files)
    assert b"train/loss" in content
    assert b"60.5" in content
    assert b"seed_offset" in content


def test_wandb_that_does_not_begin_is_told_at_the_door(tmp_path, monkeypatch):
    import wandb

    def refuse(**options):
        raise wandb.errors.UsageError("no API key configured.\nUse wandb login.")

    monkeypatch.setattr(wandb, "init", refuse)
    with pytest.raises(RunError, match=r"'wandb' does not begin: no API key configured\. Use"):
        _log(tmp_path, 0, "csv", "wandb")


def test_a_logger_that_fails_is_dropped_and_the_run_goes_on():
    class Failing:
        calls = 0

        def write(self, step, values):
            Failing.calls += 1
            raise ConnectionError("no route to host\nand more")

    logger = Unreliable("mine", Failing())
    with pytest.warns(UserWarning, match="mine failed, and gets no more of this run: no route"):
        logger.write(1, {})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logger.write(2, {})
        logger.sync()
        logger.close()
    assert Failing.calls == 1


def test_a_logger_of_ones_own(tmp_path, monkeypatch):
    (tmp_path / "my_loggers.py").write_text(
        "class Mine:\n"
        "    def __init__(self, directory, step, config):\n"
        "        self.file = (directory / 'mine').open('a')\n"
        "    def write(self, step, values):\n"
        "        self.file.write(f'{step} {sorted(values)}')\n"
        "    def sync(self): pass\n"
        "    def close(self): self.file.close()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with _log(tmp_path, 0, "my_loggers:Mine") as log:
        log.write({"step": 1, "split": "train", "loss": [1.0]})
    assert (tmp_path / "mine").read_text() == "1 ['train/loss']"


@pytest.mark.parametrize(
    "names, message",
    [
        (["wndb"], "unknown logger 'wndb'.*did you mean 'wandb'.*or package.module:function"),
        (["csv", "csv"], "logger 'csv' is given twice"),
        (["no_such_module:thing"], "there is no module 'no_such_module'"),
        (["json:thing"], "module 'json' has no attribute 'thing'"),
    ],
)
def test_loggers_that_there_are_not(names, message):
    with pytest.raises(RunError, match=message):
        find_loggers(names)


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_logger_without_its_package_says_what_to_install(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, LOGGERS[name].partition(":")[0], raising=False)
    with pytest.raises(RunError, match=rf"{name!r} needs the package {name}.*'\.\[loggers\]'"):
        find_loggers([name])
