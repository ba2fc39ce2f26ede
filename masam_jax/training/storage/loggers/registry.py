"""Loggers by name, and those of the user's own."""

import importlib
from collections.abc import Sequence

from masam_jax.config.errors import RunError
from masam_jax.core.extras import install_extras
from masam_jax.core.specs import unknown
from masam_jax.training.storage.loggers.protocol import OpenLogger

_HERE = __name__.rpartition(".")[0]
# Imported when asked for: some need packages of their own.
LOGGERS = {
    "csv": f"{_HERE}.csv_file:CsvLogger",
    "mlflow": f"{_HERE}.mlflow_run:open_mlflow",
    "tensorboard": f"{_HERE}.tensorboard:TensorBoardLogger",
    "wandb": f"{_HERE}.wandb_run:open_wandb",
}


def find_loggers(names: Sequence[str]) -> tuple[OpenLogger, ...]:
    """What opens the loggers of a run.

    Args:
      names: of `LOGGERS`, or ``package.module:function`` for one of the user's own.

    Raises:
      RunError: a name that there is not, or is given twice, or a package that is missing.
    """
    for place, name in enumerate(names):
        if name in names[:place]:
            raise RunError(f"logger {name!r} is given twice; once is enough")
    return tuple(_find(name) for name in names)


def _find(name: str) -> OpenLogger:
    if name not in LOGGERS and ":" not in name:
        raise RunError(f"{unknown('logger', name, LOGGERS)}, or package.module:function")
    module, _, attribute = LOGGERS.get(name, name).partition(":")
    try:
        found: OpenLogger = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        if name not in LOGGERS:
            raise RunError(f"logger {name!r}: there is no module {error.name!r}") from error
        raise RunError(
            f"logger {name!r} needs the package {error.name}: {install_extras('loggers')}"
        ) from error
    except (AttributeError, ValueError) as error:
        raise RunError(f"logger {name!r}: {error}") from error
    return found
