"""MIMIC-IV and MIMIC-CXR: mortality in intensive care from health records and chest X-rays.

    masam train --dataset mimic_mortality --method masam
    masam train --dataset mimic_mortality:fold=1 --method masam    # another of the five folds

A transformer of 2 layers, 4 heads and width 256 over 48 hours of records (values and flags),
ResNet-50 for the X-ray, from ImageNet weights (torchvision's IMAGENET1K_V2; a file is needed, see
``--weights``), features of 256, concatenated. MASAM with ρ = .5, α = .5, β = .9.

Published AUPRC: .603 MASAM, .585 MMPareto, .567 late fusion.

Cost: as many steps an epoch as there are paired stays in three of five folds, over 16; most of a
step is the ResNet. It was not run here on the real data.

docs/datasets.md lists what differs from the authors' release, and why.
"""

from masam_jax.config import ModelConfig
from masam_jax.config.published.settings import PublishedSettings, published_experiment

MIMIC_MORTALITY = PublishedSettings(
    experiment=published_experiment(
        "mimic_mortality",
        ModelConfig(width=256, encoders=("cxr=resnet50", "ehr=transformer"), dropout=0.2),
    ),
    needs={"cxr": "ImageNet weights of ResNet-50"},
    methods={"masam": {"rho": 0.5, "alpha": 0.5, "beta": 0.9}},
    published={"masam": 0.603, "mmpareto": 0.585, "late_fusion": 0.567},
)
