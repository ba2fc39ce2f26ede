"""Published corruptions of a data set as pure functions of it and a seed.

Label noise, few labels and missing modalities are drawn on the host from raw PCG64 words, which
NumPy keeps the same in every release; input noise is drawn on the device from a key a sample.
"""

from masam_jax.data.corruption.input_noise import add_noise
from masam_jax.data.corruption.label_fraction import labelled_rows
from masam_jax.data.corruption.label_noise import NoisyLabels, noisy_labels
from masam_jax.data.corruption.missing import drop, present_rows

__all__ = [
    "NoisyLabels",
    "add_noise",
    "drop",
    "labelled_rows",
    "noisy_labels",
    "present_rows",
]
