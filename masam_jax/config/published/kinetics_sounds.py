"""Kinetics-Sounds: 31 actions from sound and video.

    masam train --dataset kinetics_sounds --method masam
    masam compare --dataset kinetics_sounds --methods late_fusion sam masam

ResNet-18 for the mel filterbank (one channel) and for the frames (mean over time), from random
weights, features of 512, concatenated. MASAM with ρ = .3, α = .8, β = .91.

OGM-GE with α = .1 in the first half of the run: its authors' release recommends that for VGGSound,
the nearest data that it names, and nothing for these.

Published accuracy: .740 MASAM, .689 AUG, .636 late fusion; ablations .724 (w/o APS), .723 (w/o
MDPS), .689 (SAM only).

Cost: as many steps an epoch as there are training clips left on the web (some 15,000), over 16,
each as one of CREMA-D, whose cost ``make bench`` measures. It was not run here on the real data.

docs/datasets.md lists what differs from the authors' release, and why.
"""

from masam_jax.config import ModelConfig
from masam_jax.config.published.settings import PublishedSettings, published_experiment

KINETICS_SOUNDS = PublishedSettings(
    experiment=published_experiment(
        "kinetics_sounds",
        ModelConfig(
            width=512, encoders=("audio=resnet18:project=false", "video=resnet18:project=false")
        ),
    ),
    methods={"ogm_ge": {"alpha": 0.1, "modulation_share": 0.5}},
    sources={"ogm_ge": "of its authors' release for VGGSound, the nearest data that it names"},
    published={"masam": 0.740, "aug": 0.689, "late_fusion": 0.636},
)
