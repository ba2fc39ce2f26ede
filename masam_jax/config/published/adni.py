"""ADNI: diagnosis (3 classes) from clinical tables and MRI regions.

    masam train --dataset adni --method masam

Feed-forward networks of one hidden layer with batch normalisation and dropout, width 512, for each
table, concatenated. MASAM with ρ = .3, α = .5, β = .9, which the quick-start commands of the
authors' release run: the paper gives none for these data.

Published mAP: .857 MASAM, .847 AUG, .826 late fusion.

Cost: tables; minutes on a CPU. It was not run here on the real data.

Chosen here: depth of the encoders (the release has four layers for the clinical columns, one for
the regions) and dropout 0.1 (0.2 there). docs/datasets.md lists what differs from the release, and
why.
"""

from masam_jax.config import ModelConfig
from masam_jax.config.published.settings import PublishedSettings, published_experiment

ADNI = PublishedSettings(
    experiment=published_experiment(
        "adni",
        ModelConfig(width=512, encoders=("mri=ffn", "tabular=ffn"), dropout=0.1),
    ),
    methods={"masam": {"rho": 0.3, "alpha": 0.5, "beta": 0.9}},
    sources={"masam": "of the quick-start commands of its authors' release"},
    published={"masam": 0.857, "aug": 0.847, "late_fusion": 0.826},
)
