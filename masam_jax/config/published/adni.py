"""ADNI: diagnosis (3 classes) from clinical tables and MRI regions.

    masam train --dataset adni --method masam

Feed-forward networks of one hidden layer with batch normalisation and dropout, width 512, for each
table, concatenated. MASAM with its defaults, ρ = .3, α = .8, β = .91: the paper gives none for
these data.

Published mAP: .857 MASAM, .847 AUG, .826 late fusion.

Cost: tables; minutes on a CPU. It was not run here on the real data.

Not stated where it was published, and chosen here: the encoders, dropout 0.1, weight decay 0.01,
and no schedule of the learning rate.
"""

from masam_jax.config import ModelConfig
from masam_jax.config.published.settings import PublishedSettings, published_experiment

ADNI = PublishedSettings(
    experiment=published_experiment(
        "adni",
        ModelConfig(width=512, encoders=("mri=ffn", "tabular=ffn"), dropout=0.1),
    ),
    published={"masam": 0.857, "aug": 0.847, "late_fusion": 0.826},
)
