"""Where metrics go beside ``metrics.jsonl``: one small protocol, and four that have it."""

from masam_jax.training.storage.loggers.protocol import MetricsLogger, OpenLogger
from masam_jax.training.storage.loggers.registry import LOGGERS, find_loggers

__all__ = ["LOGGERS", "MetricsLogger", "OpenLogger", "find_loggers"]
