"""MIMIC-IV and MIMIC-CXR: 25 phenotypes from health records and chest X-rays.

    masam train --dataset mimic_phenotype --method masam
    masam train --dataset mimic_phenotype:fold=1 --method masam    # another of the five folds

A transformer of 2 layers, 4 heads and width 256 over 48 hours of records (values and flags),
ResNet-50 for the X-ray, from ImageNet weights (torchvision's IMAGENET1K_V2; a file is needed, see
``--weights``), features of 256, concatenated. MASAM with ρ = .5, α = .5, β = .9.

Published AUPRC: .498 MASAM, .481 InfoReg, .475 late fusion; ablations .484 (w/o APS), .491 (w/o
MDPS), .478 (SAM only).

Cost: as many steps an epoch as there are paired stays in three of five folds, over 16; most of a
step is the ResNet. It was not run here on the real data.

docs/datasets.md lists what differs from the authors' release, and why.
"""

from masam_jax.config import ModelConfig
from masam_jax.config.published.settings import PublishedSettings, published_experiment

MIMIC_PHENOTYPE = PublishedSettings(
    experiment=published_experiment(
        "mimic_phenotype",
        ModelConfig(width=256, encoders=("cxr=resnet50", "ehr=transformer"), dropout=0.2),
    ),
    needs={"cxr": "ImageNet weights of ResNet-50"},
    methods={"masam": {"rho": 0.5, "alpha": 0.5, "beta": 0.9}},
    published={"masam": 0.498, "info_reg": 0.481, "sam": 0.478, "late_fusion": 0.475},
)
