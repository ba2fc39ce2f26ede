"""Trials on a Ray cluster: the study is that of one process, also after the driver was killed."""

import dataclasses
import os
import signal
import subprocess
import sys
import threading
from unittest import mock

import pytest

from masam_jax.config.engine import RayEngine
from masam_jax.config.errors import RunError
from masam_jax.tuning import ray_trials, trials
from masam_jax.tuning.ray_cluster import import_ray, open_cluster
from masam_jax.tuning.ray_worker import RayWorker, SentProblem
from tests.quick_compilation import child_environment
from tests.tuning.small_tuning import FakeWorker, fake_training, faked_training, rows, small_tuning

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
    assert {name: len(each) for name, each in found[0].items()} == {
        "fusion_only": 1,
        "late_fusion": 2,
    }
    assert sorted(lines["local"]) == sorted(lines["ray:workers=2"])
    assert not list((tmp_path / "ray").glob("trial*"))


def test_a_killed_driver_changes_nothing(tmp_path, address):
    """With trials that are pruned, of which other trials follow."""
    methods, budget = FAKED
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    with faked_training():
        small_tuning(whole, "local", *FAKED)
    driver = subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.tuning.small_tuning", str(killed), "ray:workers=2"),
            *(str(budget), *methods),
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
    assert 7 <= sum(map(len, before.values())) < 2 * budget
    with faked_training():
        small_tuning(killed, "ray:workers=2", *FAKED, resume=True)
    found = rows(killed)
    assert found == rows(whole)
    assert any(state == "PRUNED" for each in found.values() for state, *_ in each)
    assert all(found[name][: len(each)] == each for name, each in before.items())


def test_a_trial_whose_worker_is_lost_begins_again(tmp_path, address):
    marker = tmp_path / "lost"

    def killed(*args, on_evaluation, **options):
        def first(step, score):
            on_evaluation(step, score)
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)

        return fake_training(*args, on_evaluation=first, **options)

    class DyingWorker(FakeWorker):
        def _train(self, method, evaluations):
            if marker.exists():
                return super()._train(method, evaluations)
            with mock.patch.object(trials, "train_method", killed):
                return RayWorker._train(self, method, evaluations)

    with faked_training():
        small_tuning(tmp_path / "local", "local", ("sam",), 2)
        with mock.patch.object(ray_trials, "RayWorker", DyingWorker):
            small_tuning(tmp_path / "ray", "ray:workers=1", ("sam",), 2)
    assert marker.exists()
    assert rows(tmp_path / "ray") == rows(tmp_path / "local")


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
