"""Runs in processes of their own: killed, interrupted, and several of them together."""

import json
import re
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
# What gloo says of each group of devices: its threads write it in pieces, which may mingle.
GLOO = re.compile(
    r"\[Gloo\] Rank | is connected to | peer ranks\. "
    r"|Expected number of connected peer ranks is : |\d|\n"
)
COMPARE = ["compare", "--methods", "late_fusion", "masam:rho=1,select=random", *OPTIONS]


def _start(*words, module="masam_jax", devices=1, variables=None):
    return subprocess.Popen(
        [sys.executable, "-m", module, *words],
        env=child_environment(devices, COLUMNS="120", **(variables or {})),
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
    options = [*COMPARE, "--steps", "200", "--seeds", "2"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert _finish(_start(*options, "--output", str(whole)))[0] == 0

    first = _start(*options, "--output", str(killed))
    log = killed / "methods" / "late_fusion" / "metrics.jsonl"
    _wait_for(lambda: _steps_logged(log) > 8, first)
    first.send_signal(signal.SIGKILL)
    assert _finish(first)[0] == -signal.SIGKILL
    assert not (killed / "methods" / "late_fusion" / "result.json").exists()

    second = _start(*options, "--output", str(killed), "--resume")
    log = killed / "methods" / "masam_rho-1_select-random" / "metrics.jsonl"
    _wait_for(lambda: _steps_logged(log) > 12, second)
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


def _free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def _as_slurm(process):
    return {
        "SLURM_JOB_ID": "1",
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_NTASKS": "2",
        "SLURM_PROCID": str(process),
        "SLURM_LOCALID": str(process),
    }


def _as_open_mpi(process):
    return {
        "OMPI_MCA_orte_hnp_uri": "4096.0;tcp://127.0.0.1:1",
        "OMPI_COMM_WORLD_SIZE": "2",
        "OMPI_COMM_WORLD_RANK": str(process),
        "OMPI_COMM_WORLD_LOCAL_RANK": str(process),
    }


def _start_two(started, *words, module="masam_jax", **variables):
    """Two processes of four devices, which a cluster has started."""
    port = _free_port()
    return [
        _start(
            *words,
            module=module,
            devices=4,
            variables={
                "JAX_COORDINATOR_PORT": port,
                **started(index),
                **{name: value.format(index) for name, value in variables.items()},
            },
        )
        for index in (0, 1)
    ]


def _assert_alike(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        np.testing.assert_allclose(array, theirs[name], rtol=1e-3, atol=1e-5, err_msg=name)


def test_two_processes_of_four_devices_train_as_one_of_eight(tmp_path):
    """And what they saved goes on on one device."""
    words = ["train", "--method", "masam:rho=1", *OPTIONS, "--seeds", "2"]
    words += ["--mesh", "seeds=2,data=4"]
    one, two = tmp_path / "one", tmp_path / "two"
    processes = _start_two(_as_open_mpi, *words, "--steps", "20", "--output", str(two))
    outcomes = [_finish(process) for process in processes]
    assert [code for code, _, _ in outcomes] == [0, 0], outcomes
    assert "8 devices (cpu), seeds and batch sharded" in outcomes[0][1]
    assert "step 20/20" in outcomes[0][1]
    assert not GLOO.sub("", outcomes[1][1])
    alone = _start(*words, "--steps", "30", "--output", str(one), devices=8)
    resumed = _start("train", "--resume", str(two), "--steps", "30")
    assert [_finish(each)[0] for each in (alone, resumed)] == [0, 0]
    _assert_alike(_arrays(two), _arrays(one))


def test_each_process_reads_its_part_of_a_batch(tmp_path, prepared):
    """Of data on disk, started by SLURM; without momentum, since the two sum in another order."""
    words = ["train", "--method", "masam:rho=1", "--dataset", prepared.spec("adni")]
    words += ["--encoders", "mri=ffn", "tabular=ffn", "--width", "4", "--optimizer", "sgd"]
    words += ["--batch-size", "8", "--steps", "3", "--seeds", "1", "--mesh", "data=8", "--no-plots"]
    one, two = tmp_path / "one", tmp_path / "two"
    logs = {"module": "tests.training.logged_reading", "MASAM_DATA_DIR": str(prepared.data_dir)}
    read = str(tmp_path / "read{}")
    processes = _start_two(_as_slurm, *words, "--output", str(two), **logs, READ_LOG=read)
    outcomes = [_finish(process) for process in processes]
    assert [code for code, _, _ in outcomes] == [0, 0], outcomes
    variables = {"MASAM_DATA_DIR": str(prepared.data_dir), "READ_LOG": read.format("all")}
    alone = _start(
        *(*words, "--output", str(one)), module=logs["module"], devices=8, variables=variables
    )
    assert _finish(alone)[0] == 0
    first, second, whole = (
        {tuple(line.split()) for line in (tmp_path / f"read{name}").read_text().splitlines()}
        for name in (0, 1, "all")
    )
    # How far ahead is read is chance.
    assert len(first & {rows[:4] for rows in whole}) >= 3
    assert len(second & {rows[4:] for rows in whole}) >= 3
    assert {len(rows) for rows in first | second} == {4}
    _assert_alike(_arrays(two), _arrays(one))


def test_processes_that_run_apart_are_no_run_together(tmp_path):
    """Such as a sweep whose runs srun has started."""
    words = ["train", *OPTIONS, "--steps", "10", "--seeds", "1", "--output"]
    port = {"JAX_COORDINATOR_PORT": _free_port()}
    processes = [
        _start(*words, str(tmp_path / str(index)), variables={**port, **_as_slurm(index)})
        for index in (0, 1)
    ]
    outcomes = [_finish(process) for process in processes]
    assert [code for code, _, _ in outcomes] == [2, 2]
    assert "runs of their own, with --cluster none" in outcomes[1][2]
    assert not list(tmp_path.iterdir())


def test_processes_with_seeds_of_their_own_are_no_run_together(tmp_path):
    """And one directory, which they would have written in turn."""
    words = ["train", *OPTIONS, "--steps", "10", "--seeds", "1", "--output", str(tmp_path / "run")]
    variables = {"JAX_COORDINATOR_PORT": _free_port()}
    processes = [
        _start(*words, "--seed-offset", str(index), variables={**variables, **_as_slurm(index)})
        for index in (0, 1)
    ]
    outcomes = [_finish(process) for process in processes]
    assert [code for code, _, _ in outcomes] == [2, 2]
    assert "process 1 was started with --seed-offset 1, process 0 with 0" in outcomes[1][2]
    assert not (tmp_path / "run" / "config.json").exists()


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
