"""Several processes in one run: which of them writes, and where all of them wait."""

import itertools

import jax
import numpy as np
from jax.experimental import multihost_utils

from masam_jax.training.storage.key_values import service_client

# The service wants a limit; who is gone is noticed by `masam_jax.training.peer_watch`.
_DAY = 24 * 60 * 60 * 1000
_barriers = itertools.count()


def is_primary() -> bool:
    """Whether this process is the one that writes files and talks to the user."""
    return jax.process_index() == 0


def barrier(name: str) -> None:
    """Waits until every process is here, for as long as another one needs.

    Collectives of CPU devices give up after half a minute, and so are no barriers for a process
    that prepares data, or draws plots.
    """
    if jax.process_count() > 1:
        service_client().wait_at_barrier(f"masam {next(_barriers)} {name}", _DAY)


def agreed(number: int) -> int:
    """The first process's number, for all of them."""
    if jax.process_count() == 1:
        return number
    return int(multihost_utils.broadcast_one_to_all(np.int32(number)))
