"""TFDS, or the name of the extra that brings it."""

from masam_jax.core.extras import needs

with needs("masam_jax.data.builders", "data"):
    import tensorflow_datasets as tfds

__all__ = ["tfds"]
