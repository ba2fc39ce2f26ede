"""Tiny data of every kind of samples, in memory, and encoders for them."""

import numpy as np

from masam_jax.config import ModelConfig
from masam_jax.data import Modality, MultimodalData, Normalization

ROWS = 60
SPECS = {
    "frames": Modality("frames", (2, 8, 8, 3), np.uint8),
    "image": Modality("image", (8, 8, 1), np.uint8, Normalization("fixed", (100.0,), (50.0,))),
    "sequence": Modality("sequence", (5, 3)),
    "spectrogram": Modality("spectrogram", (8, 9, 1), normalization=Normalization("scalar")),
    "tokens": Modality("tokens", (6,), np.int32, vocabulary_size=1000),
    "vector": Modality("vector", (4,)),
}
KINDS = tuple(SPECS)
MODEL = ModelConfig(
    width=4, depth=1, encoders=("frames=resnet18:channels=1,small_stem=true,norm=group",)
)


def every_kind(kinds=KINDS):
    """Samples of the kinds, 3 classes; no value is zero but beyond a sequence's end."""
    rng = np.random.default_rng(0)
    steps = np.arange(5) < rng.integers(1, 6, ROWS)[:, None]
    words = np.arange(6) < rng.integers(1, 7, ROWS)[:, None]

    def pixels(*shape):
        return rng.integers(1, 255, (ROWS, *shape)).astype(np.uint8)

    features = {
        "frames": pixels(2, 8, 8, 3),
        "image": pixels(8, 8, 1),
        "sequence": {
            "values": (rng.normal(size=(ROWS, 5, 3)) * steps[..., None]).astype(np.float32),
            "mask": steps,
        },
        "spectrogram": rng.normal(size=(ROWS, 8, 9, 1)).astype(np.float32),
        # Beyond 256, and odd: numbers that few dtypes hold.
        "tokens": {
            "tokens": (rng.integers(501, 1000, (ROWS, 6)) * words).astype(np.int32),
            "mask": words,
        },
        "vector": rng.normal(size=(ROWS, 4)).astype(np.float32),
    }
    return MultimodalData(
        "every_kind",
        {m: features[m] for m in kinds},
        np.arange(ROWS, dtype=np.int32) % 3,
        3,
        specs={m: SPECS[m] for m in kinds},
    )
