"""MLflow: a run there for each method's run here."""

import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException

from masam_jax.config.errors import RunError
from masam_jax.training.storage.loggers.protocol import MetricsLogger
from masam_jax.training.storage.loggers.remote import Unreliable, remember, remembered

_EXPERIMENT = "masam_jax"
# As many as one call takes.
_BATCH = 1000


def open_mlflow(directory: Path, step: int, config: Mapping[str, Any]) -> MetricsLogger:
    """Begins a run, or goes on with the one that was begun before; see `OpenLogger`.

    Where it goes is the environment's: ``MLFLOW_TRACKING_URI``, and ``MLFLOW_EXPERIMENT_NAME``
    (``masam_jax`` where it is not set). Steps that are computed again are logged again.

    Raises:
      RunError: MLflow does not begin a run, such as where no server answers.
    """
    try:
        client = MlflowClient()
        known = remembered(directory, "mlflow")
        if known is None:
            name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or _EXPERIMENT
            found = client.get_experiment_by_name(name)
            place = client.create_experiment(name) if found is None else found.experiment_id
            known = client.create_run(place, run_name=directory.name).info.run_id
            params = [Param(name, str(value)) for name, value in _flat(config)]
            for begin in range(0, len(params), 100):
                client.log_batch(known, params=params[begin : begin + 100])
            remember(directory, "mlflow", known)
        else:
            client.set_terminated(known, "RUNNING")
    except MlflowException as error:
        text = str(error).strip().partition("\n")[0]
        raise RunError(f"logger 'mlflow' does not begin: {text}") from error
    return Unreliable("mlflow", _MlflowLogger(client, known))


class _MlflowLogger:
    """Means over seeds, those that are finite, kept until the next checkpoint or a thousand."""

    def __init__(self, client: MlflowClient, run: str) -> None:
        self._client = client
        self._run = run
        self._waiting: list[Metric] = []

    def write(self, step: int, values: Mapping[str, np.ndarray]) -> None:
        now = int(time.time() * 1000)
        means = {name: float(np.mean(value)) for name, value in values.items()}
        self._waiting += [
            Metric(name, mean, now, step) for name, mean in means.items() if math.isfinite(mean)
        ]
        if len(self._waiting) >= _BATCH:
            self.sync()

    def sync(self) -> None:
        for begin in range(0, len(self._waiting), _BATCH):
            self._client.log_batch(self._run, metrics=self._waiting[begin : begin + _BATCH])
        self._waiting = []

    def close(self) -> None:
        self.sync()
        self._client.set_terminated(self._run)


def _flat(config: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in config.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}", value))
    return found
