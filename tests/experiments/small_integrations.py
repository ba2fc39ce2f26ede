"""The integrations at a size for tests, each made once."""

import functools

from experiments.integrations.drfuse_like import drfuse_like
from experiments.integrations.medfuse_like import medfuse_like

WIDTH = 4
INTEGRATIONS = {"medfuse": medfuse_like, "drfuse": drfuse_like}


@functools.cache
def integrated(name, dropout=0.2):
    return INTEGRATIONS[name](width=WIDTH, dropout=dropout)
