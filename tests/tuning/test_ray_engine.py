"""Trials on a Ray cluster: the study is that of one process, also after the driver was killed."""

import dataclasses
import signal
import subprocess
import sys
import threading

import pytest

from masam_jax.config.engine import RayEngine
from masam_jax.config.errors import RunError
from masam_jax.tuning.ray_cluster import import_ray, open_cluster
from masam_jax.tuning.ray_worker import SentProblem
from tests.quick_compilation import child_environment
from tests.tuning.small_tuning import faked_training, rows, small_tuning

pytest.importorskip("ray")

FAKED = ("late_fusion", "sam"), 8
TRAINED = ("fusion_only", "late_fusion"), 2


@pytest.fixture(scope="module")
def address():
    """That of a cluster with room for two workers, which every tuning of this process uses."""
    ray = import_ray()
    with open_cluster(ray, RayEngine(workers=2)):
        yield ray.get_runtime_context().gcs_address


def test_two_workers_find_what_one_process_finds(tmp_path, address):
    lines = {"local": [], "ray:workers=2": []}
    best = [
        small_tuning(tmp_path / engine[:3], engine, *TRAINED, announce=told.append)
        for engine, told in lines.items()
    ]
    assert best[0] == best[1]
    found = [rows(tmp_path / engine[:3]) for engine in lines]
    assert found[0] == found[1]
    assert {name: len(trials) for name, trials in found[0].items()} == {
        "fusion_only": 1,
        "late_fusion": 2,
    }
    assert sorted(lines["local"]) == sorted(lines["ray:workers=2"])
    assert not list((tmp_path / "ray").glob("trial*"))


def test_a_killed_driver_changes_nothing(tmp_path, address):
    """With trials that are pruned, of which other trials follow."""
    methods, trials = FAKED
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    with faked_training():
        small_tuning(whole, "local", *FAKED)
    driver = subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.tuning.small_tuning", str(killed), "ray:workers=2"),
            *(str(trials), *methods),
        ],
        env=child_environment(8, RAY_ADDRESS=address),
        stdout=subprocess.PIPE,
        text=True,
    )
    with driver:
        lines = [driver.stdout.readline() for _ in range(7)]
        driver.send_signal(signal.SIGKILL)
    assert all(lines)
    before = rows(killed)
    assert 7 <= sum(map(len, before.values())) < 2 * trials
    with faked_training():
        small_tuning(killed, "ray:workers=2", *FAKED, resume=True)
    found = rows(killed)
    assert found == rows(whole)
    assert any(state == "PRUNED" for each in found.values() for state, *_ in each)
    assert all(found[name][: len(each)] == each for name, each in before.items())


@pytest.mark.parametrize(
    "engine, words",
    [
        ("ray:workers=1000", r"'ray:workers=1000': .* room for \d+ workers of 1 CPUs and 0 GPUs"),
        ("ray:cpus=1000,gpus=0", r"room for 0 workers of 1000 CPUs and 0 GPUs; it has \d+ CPUs"),
        ("ray:workers=1,gpus=99", r"room for 0 workers of 1 CPUs and 99 GPUs"),
    ],
)
def test_a_cluster_without_room(tmp_path, address, engine, words):
    with pytest.raises(RunError, match=words):
        small_tuning(tmp_path / "run", engine, *TRAINED)


def test_data_that_cannot_be_sent(tmp_path, address, monkeypatch):
    of = SentProblem.of
    monkeypatch.setattr(
        SentProblem, "of", lambda problem: dataclasses.replace(of(problem), data=threading.Lock())
    )
    with pytest.raises(RunError, match=r"cannot send synthetic to workers .*engine local takes it"):
        small_tuning(tmp_path / "run", "ray:workers=1", *TRAINED)
