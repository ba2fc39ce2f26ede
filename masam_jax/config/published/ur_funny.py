"""UR-FUNNY: humour from video, audio and text.

    masam train --dataset ur_funny --method masam

For each modality a convolution of kernel 1 and a transformer of 4 layers, width 512 and 8 heads
over its steps, of which the first is taken, concatenated. MASAM with ρ = .5, α = .5, β = .9.

Published accuracy: .644 MASAM, .632 OGM-GE, .620 late fusion.

Cost: 7,614 training samples are 476 steps an epoch. It was not run here on the real data.

Dropout 0.1 is chosen here. docs/datasets.md lists what differs from the authors' release, and why.
"""

from masam_jax.config import ModelConfig
from masam_jax.config.published.settings import PublishedSettings, published_experiment

UR_FUNNY = PublishedSettings(
    experiment=published_experiment(
        "ur_funny",
        ModelConfig(
            width=512,
            depth=4,
            encoders=tuple(
                f"{m}=conv_transformer:heads=8,pool=first" for m in ("audio", "text", "vision")
            ),
            dropout=0.1,
        ),
    ),
    methods={"masam": {"rho": 0.5, "alpha": 0.5, "beta": 0.9}},
    published={"masam": 0.644, "ogm_ge": 0.632, "late_fusion": 0.620},
)
