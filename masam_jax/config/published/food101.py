"""UPMC Food101: 101 dishes from image and recipe title.

    masam train --dataset food101 --method masam
    masam train --dataset food101 --method masam --weights image=resnet18.safetensors

ResNet-18 for the image, a transformer of 2 layers, 8 heads and width 512 over the title's tokens,
features of 512, concatenated. MASAM with ρ = .3, α = .8, β = .91. With ``food101:text=bert`` the
text is BERT's features, prepared beforehand, and its encoder must be a ``transformer``.

Published accuracy: .935 MASAM, .928 MLA, .907 late fusion (p = .0046 against the best previous).

Cost: as many steps an epoch as there are training pairs (some 61,000), over 16. It was not run here
on the real data.

Not stated where it was published, and chosen here: which encoders (published results on these data
mostly start from ImageNet and BERT weights: see ``--weights``), weight decay 0.01, validation pairs
(a tenth of train), and no schedule of the learning rate.
"""

from masam_jax.config import ModelConfig
from masam_jax.config.published.settings import PublishedSettings, published_experiment

FOOD101 = PublishedSettings(
    experiment=published_experiment(
        "food101",
        ModelConfig(
            width=512,
            encoders=("image=resnet18:project=false", "text=text_transformer:heads=8"),
            dropout=0.1,
        ),
    ),
    published={"masam": 0.935, "mla": 0.928, "late_fusion": 0.907},
)
