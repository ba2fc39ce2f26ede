"""What a seed's PRNG key is folded with, so that no two draws share a stream."""

PARAMETERS = 0
"""The network's initial parameters."""
METHOD = 1
"""What the method's transformation draws."""
METHOD_PARAMETERS = 2
"""Further parameters of the method's objective."""
STEP = 3
"""Dropout and noise of a training step, folded with its number."""
MEASUREMENT = 4
"""Random vectors of what is measured along training."""
