"""Runs in processes of their own: killed, interrupted, and several of them together."""

import json
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from masam_jax.training.peer_watch import LOST
from tests.chaos.content import checkpoint_arrays, without_times
from tests.chaos.peers import ATTACKS, Pair
from tests.quick_compilation import child_environment

OPTIONS = [
    *("--dataset", "synthetic", "--train-size", "24", "--validation-size", "40"),
    *("--test-size", "40", "--batch-size", "12", "--width", "4", "--log-every", "5"),
    *("--evaluate-every", "10", "--checkpoint-every", "10", "--no-plots"),
]
COMPARE = ["compare", "--methods", "late_fusion", "masam:rho=1,select=random", *OPTIONS]


def _start(*words):
    return subprocess.Popen(
        [sys.executable, "-m", "masam_jax", *words],
        env=child_environment(COLUMNS="120"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _finish(process, timeout=300):
    """Exit code, standard output and standard error."""
    output, errors = process.communicate(timeout=timeout)
    return process.returncode, output, errors


def _wait_for(condition, process, seconds=240):
    limit = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit, "nothing happened"
        time.sleep(0.02)


def _numbers(path):
    return without_times(json.loads(path.read_text()))


def _arrays(place):
    """Those of the last checkpoint."""
    steps = [path for path in (place / "checkpoints").iterdir() if path.name.isdigit()]
    return checkpoint_arrays(max(steps, key=lambda path: int(path.name)))


def _assert_equal_runs(ours, theirs, slugs):
    for slug in slugs:
        places = [path / "methods" / slug for path in (ours, theirs)]
        metrics = [(place / "metrics.jsonl").read_bytes() for place in places]
        assert metrics[0] == metrics[1]
        assert _numbers(places[0] / "result.json") == _numbers(places[1] / "result.json")
        left, right = (_arrays(place) for place in places)
        assert left.keys() == right.keys()
        assert all(left[name].tobytes() == right[name].tobytes() for name in left)
    assert _numbers(ours / "results.json") == _numbers(theirs / "results.json")


def _steps_logged(path):
    return path.read_bytes().count(b'"split": "train"') if path.exists() else 0


def test_killed_and_resumed_is_the_same_bit_for_bit(tmp_path):
    options = [*COMPARE, "--steps", "400", "--seeds", "2"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert _finish(_start(*options, "--output", str(whole)))[0] == 0

    first = _start(*options, "--output", str(killed))
    log = killed / "methods" / "late_fusion" / "metrics.jsonl"
    _wait_for(lambda: _steps_logged(log) > 20, first)
    first.send_signal(signal.SIGKILL)
    assert _finish(first)[0] == -signal.SIGKILL
    assert not (killed / "methods" / "late_fusion" / "result.json").exists()

    second = _start(*options, "--output", str(killed), "--resume")
    log = killed / "methods" / "masam_rho-1_select-random" / "metrics.jsonl"
    _wait_for(lambda: _steps_logged(log) > 30, second)
    second.send_signal(signal.SIGKILL)
    assert _finish(second)[0] == -signal.SIGKILL
    finished = killed / "methods" / "late_fusion" / "result.json"
    written = finished.stat().st_mtime_ns

    code, output, errors = _finish(_start(*options, "--output", str(killed), "--resume"))
    assert code == 0, errors
    assert "from step" in output
    assert finished.stat().st_mtime_ns == written, "a finished method was trained again"
    _assert_equal_runs(killed, whole, ["late_fusion", "masam_rho-1_select-random"])


@pytest.mark.parametrize(
    "number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"]
)
def test_interrupted_run_says_how_to_resume(tmp_path, number, code):
    path = tmp_path / "a run"
    words = ["train", "--method", "masam", *OPTIONS, "--steps", "100000", "--seeds", "1"]
    process = _start(*words, "--output", str(path))
    _wait_for(lambda: _steps_logged(path / "metrics.jsonl") > 2, process)
    process.send_signal(number)
    returned, _, errors = _finish(process)
    assert returned == code
    assert "Traceback" not in errors
    saved = int(errors.split("saved at step ")[1].split(".")[0])
    assert (path / "checkpoints" / str(saved)).is_dir()
    command = errors.strip().splitlines()[-1].strip()
    assert command == (f"python -m masam_jax {' '.join(words)} --output '{path}' --resume")


def test_two_processes_train_as_one(tmp_path):
    words = ["train", "--method", "masam:rho=1", *OPTIONS, "--steps", "20"]
    # Two seeds are sharded by seed; one by batch, where gradients must be averaged.
    for seeds in ("2", "1"):
        one, two = tmp_path / f"one{seeds}", tmp_path / f"two{seeds}"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        processes = [
            _start(
                *(*words, "--seeds", seeds, "--output", str(two)),
                *("--coordinator-address", address, "--num-processes", "2"),
                *("--process-id", str(index)),
            )
            for index in (0, 1)
        ]
        outcomes = [_finish(process) for process in processes]
        assert [code for code, _, _ in outcomes] == [0, 0], outcomes
        assert "2 devices" in outcomes[0][1]
        assert "step 20/20" not in outcomes[1][1]
        assert _finish(_start(*words, "--seeds", seeds, "--output", str(one)))[0] == 0
        ours, theirs = _arrays(two), _arrays(one)
        assert ours.keys() == theirs.keys()
        for name, array in ours.items():
            np.testing.assert_allclose(array, theirs[name], rtol=1e-3, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("kind, victim", [("kill", 0), ("kill", 1), ("stop", 1), ("SIGTERM", 1)])
def test_two_processes_of_which_one_is_attacked(tmp_path, kind, victim):
    """Resumed runs are compared by ``python -m tests.chaos --peers``."""
    number, code = ATTACKS[kind]
    pair = Pair(tmp_path / "run", steps=100000, limit=4)
    try:
        log = tmp_path / "run" / "metrics.jsonl"
        _wait_for(lambda: _steps_logged(log) > 1, pair.processes[0])
        pair.processes[victim].send_signal(number)
        ending = [1 - victim] if code == LOST else [0, 1]
        assert [pair.ended(index, 60) for index in ending] == [code] * len(ending)
        said = pair.said(1 - victim)
    finally:
        pair.close()
    assert "Traceback" not in said
    words = f"process {victim} (pid " if code == LOST else "interrupted: saved at step "
    assert words in said
    assert said.strip().endswith("--resume")


def test_a_port_that_is_taken(tmp_path):
    words = ["train", *OPTIONS, "--steps", "10", "--seeds", "1", "--output", str(tmp_path)]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        processes = ["--coordinator-address", f"127.0.0.1:{port}", "--num-processes", "2"]
        code, _, errors = _finish(_start(*words, *processes))
    assert code == 2
    assert f"port {port} of --coordinator-address 127.0.0.1:{port} is in use here" in errors
