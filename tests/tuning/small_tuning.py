"""A tuning of two methods, also as a process of its own, and what its study says."""

import sys
import time
import zlib
from contextlib import contextmanager
from unittest import mock

import optuna

from masam_jax.config import (
    DataConfig,
    EvaluationConfig,
    Experiment,
    ModelConfig,
    OptimizationConfig,
    OutputConfig,
    SeedConfig,
)
from masam_jax.config.engine import parse_engine
from masam_jax.methods import parse_method
from masam_jax.training.interrupt import InterruptedRun
from masam_jax.tuning import ray_trials, trials
from masam_jax.tuning.ray_worker import RayWorker
from masam_jax.tuning.study import open_storage
from masam_jax.tuning.tune import execute_tuning, plan_tuning

STEPS = 6


def small_plan(methods, trials):
    return plan_tuning(
        tuple(map(parse_method, methods)),
        trials,
        Experiment(
            data=DataConfig("synthetic", train_size=12, validation_size=40, test_size=40),
            model=ModelConfig(width=4, depth=1),
            optimization=OptimizationConfig(steps=STEPS, batch_size=6),
            seeds=SeedConfig(2, 100),
            evaluation=EvaluationConfig(evaluate_every=2, report_split="validation"),
        ),
    )


def small_tuning(path, engine, methods, trials, announce=lambda line: None, resume=False):
    """The content of ``best.json``."""
    output = OutputConfig(str(path), resume=resume)
    plan = small_plan(methods, trials)
    return execute_tuning(plan, output, [], announce, engine=parse_engine(engine))[1]


def rows(path):
    """What a study says of every trial that counts, by method; nothing of times and tries."""
    found = {}
    with open_storage(path / "study.db") as storage:
        for name in optuna.get_all_study_names(storage):
            study = optuna.load_study(study_name=name, storage=storage)
            found[name] = [
                (t.state.name, t.params, t.user_attrs, t.intermediate_values, t.values)
                for t in study.get_trials()
                if t.state.is_finished() and t.state.name != "FAIL"
            ]
    return found


def fake_training(task, directory, config, *, predict, progress, interrupt, on_evaluation):
    """Stands for train_method where only the order of things matters: scores by specification."""
    final = zlib.crc32(task.method.spec.encode()) / 2**32
    for step in (2, 4, 6):
        on_evaluation(step, final * step / STEPS)
        time.sleep(0.01)
        if interrupt.signal_number is not None and step < STEPS:
            raise InterruptedRun(step, interrupt.signal_number)
    return {"validation": {"accuracy": [final, final]}}


@contextmanager
def faked_training():
    """No trial trains, here and in workers."""
    with (
        mock.patch.object(trials, "train_method", fake_training),
        mock.patch.object(ray_trials, "RayWorker", FakeWorker),
    ):
        yield


class FakeWorker(RayWorker):
    """A worker that does not train."""

    def _train(self, method, evaluations):
        with faked_training():
            return super()._train(method, evaluations)


def main():
    """``python -m tests.tuning.small_tuning PATH ENGINE TRIALS METHOD...``: nothing is trained."""
    path, engine, budget, *methods = sys.argv[1:]

    def announce(line):
        print(line, flush=True)

    with faked_training():
        small_tuning(path, engine, methods, int(budget), announce)


if __name__ == "__main__":
    # As the module that workers import, not as `__main__`.
    from tests.tuning import small_tuning as module

    module.main()
