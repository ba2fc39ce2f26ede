"""UR-FUNNY: humour from video, audio and text.

    masam train --dataset ur_funny --method masam

For each modality a convolution of kernel 1 and a transformer of 2 layers, width 512 and 8 heads
over its steps, concatenated. MASAM with ρ = .5, α = .5, β = .9.

Published accuracy: .644 MASAM, .632 OGM-GE, .620 late fusion.

Cost: 7,614 training samples are 476 steps an epoch. It was not run here on the real data.

Not stated where it was published, and chosen here: depth, heads, dropout 0.1, weight decay 0.01,
and no schedule of the learning rate.
"""

from masam_jax.config import ModelConfig
from masam_jax.config.published.settings import PublishedSettings, published_experiment

UR_FUNNY = PublishedSettings(
    experiment=published_experiment(
        "ur_funny",
        ModelConfig(
            width=512,
            encoders=tuple(f"{m}=conv_transformer:heads=8" for m in ("audio", "text", "vision")),
            dropout=0.1,
        ),
    ),
    methods={"masam": {"rho": 0.5, "alpha": 0.5, "beta": 0.9}},
    published={"masam": 0.644, "ogm_ge": 0.632, "late_fusion": 0.620},
)
