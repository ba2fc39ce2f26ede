"""The transformation and what it is given: importing it needs jax, optax, chex and numpy alone."""
