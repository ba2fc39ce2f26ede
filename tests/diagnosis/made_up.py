"""Observations that nobody trained for: what each number is, is chosen."""

import numpy as np

from masam_jax.diagnosis.observations import Observations

SEEDS = 8


def spread(mean, width=0.01, phase=0):
    """One value for each of eight seeds, with exactly that mean."""
    values = np.roll(np.linspace(-width, width, SEEDS), phase)
    return mean + values - values.mean()


def observations(modalities=("a", "b"), **changes):
    """Two modalities that are as good alone as jointly, and a fusion that is worth it."""
    each = {m: spread(0.8, phase=i) for i, m in enumerate(modalities)}
    equal = {m: spread(1 / len(modalities), 0.001) for m in modalities}
    base = {
        "dataset": "made_up",
        "split": "test",
        "seeds": tuple(range(SEEDS)),
        "diverged": (),
        "chance": 0.25,
        "alone": each,
        "alone_validation": each,
        "mean_of_alone": spread(0.85),
        "joint": spread(0.9, phase=3),
        "supervised": spread(0.9, phase=1),
        "probe_alone": each,
        "probe_joint": {m: spread(0.8, phase=i + 3) for i, m in enumerate(modalities)},
        "probe_supervised": each,
        "logit_share": equal,
        "answer_share": equal,
        "first_gradient_share": equal,
        "last_gradient_share": equal,
        "alignment": equal,
        "dominant_share": equal,
        "gap_alone": {m: spread(0.1) for m in modalities},
        "gap_supervised": {m: spread(0.1) for m in modalities},
        "gap_joint": spread(0.1),
    }
    return Observations(**(base | changes))
