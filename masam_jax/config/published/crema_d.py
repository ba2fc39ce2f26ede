"""CREMA-D: emotion from speech and face.

    masam train --dataset crema_d --method masam
    masam compare --dataset crema_d --methods late_fusion sam masam

ResNet-18 for the mel filterbank (one channel) and for two frames (mean over time), from random
weights, features of 512, concatenated. MASAM with ρ = .3, α = .8, β = .91.

OGM-GE with α = .8, in the first half of the run, and PMR with α = 2 and momentum 0 until epoch 70,
as their authors' releases have them for these data (OGM-GE's modulates 50 of 100 epochs).

Published accuracy: .814 MASAM, .770 AUG, .660 late fusion.

Cost: 6028 training clips are 377 steps an epoch, at most 75,400 in 200 epochs; ``make bench``
measures a step of late fusion and of MASAM. It was not run here on the real data.

Validation clips are a tenth of train: the release's validation is its test list. docs/datasets.md
lists what differs from the release, and why.
"""

from masam_jax.config import ModelConfig
from masam_jax.config.published.settings import PublishedSettings, published_experiment

CREMA_D = PublishedSettings(
    experiment=published_experiment(
        "crema_d",
        ModelConfig(
            width=512, encoders=("audio=resnet18:project=false", "video=resnet18:project=false")
        ),
    ),
    methods={
        "ogm_ge": {"alpha": 0.8, "modulation_share": 0.5},
        "pmr": {"alpha": 2.0, "momentum": 0.0, "modulation_epochs": 71},
    },
    sources=dict.fromkeys(("ogm_ge", "pmr"), "of its authors' release for these data"),
    published={"masam": 0.814, "aug": 0.770, "late_fusion": 0.660},
)
