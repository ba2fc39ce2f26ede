"""Weights & Biases: a run there for each method's run here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import wandb

from masam_jax.config.errors import RunError
from masam_jax.training.storage.loggers.protocol import MetricsLogger
from masam_jax.training.storage.loggers.remote import Unreliable, remember, remembered

_PROJECT = "masam_jax"


def open_wandb(directory: Path, step: int, config: Mapping[str, Any]) -> MetricsLogger:
    """Begins a run, or goes on with the one that was begun before; see `OpenLogger`.

    Project, entity and mode are those of the environment: ``WANDB_PROJECT`` (``masam_jax`` where it
    is not set), ``WANDB_ENTITY``, ``WANDB_MODE=offline``. Steps that were logged before are not
    logged again.

    Raises:
      RunError: Weights & Biases does not begin a run, such as without a key.
    """
    settings = wandb.Settings(silent=True, console="off")
    known = remembered(directory, "wandb")
    try:
        run = wandb.init(
            project=settings.project or _PROJECT,
            id=known,
            resume="allow" if known else None,
            name=f"{directory.parent.parent.name}/{directory.name}"
            if directory.parent.name == "methods"
            else directory.name,
            dir=str(directory),
            config=dict(config),
            reinit="create_new",
            settings=settings,
        )
    except (wandb.Error, OSError) as error:
        text = " ".join(str(error).split())
        raise RunError(f"logger 'wandb' does not begin: {text}") from error
    remember(directory, "wandb", run.id)
    return Unreliable("wandb", _WandbLogger(run))


class _WandbLogger:
    """Means over seeds."""

    def __init__(self, run: "wandb.Run") -> None:
        self._run = run

    def write(self, step: int, values: Mapping[str, np.ndarray]) -> None:
        # Training and validation metrics of a step come one after the other.
        self._run.log({name: float(np.mean(value)) for name, value in values.items()}, step=step)

    def sync(self) -> None:
        """It sends in a process of its own."""

    def close(self) -> None:
        self._run.finish()
