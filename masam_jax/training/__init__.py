"""Training: from a configuration to a run directory, for many seeds at once."""

from masam_jax.training.train_step import make_train_step

__all__ = ["make_train_step"]
