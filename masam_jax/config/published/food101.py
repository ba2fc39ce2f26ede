"""UPMC Food101: 101 dishes from image and recipe title.

    masam train --dataset food101 --method masam
    masam train --dataset food101 --method masam --weights image=resnet50.safetensors
    masam train --dataset food101:text=tokens --encoders image=resnet50 text=text_transformer

ResNet-50 for the image, from ImageNet weights (torchvision's IMAGENET1K_V2; a file is needed, see
``--weights``), a transformer of one layer, 4 heads and width 512 over BERT's features of the title,
which are made beforehand, features of 512, concatenated. MASAM with ρ = .3, α = .8, β = .91.

Published accuracy: .935 MASAM, .928 MLA, .907 late fusion (p = .0046 against the best previous).

Cost: as many steps an epoch as there are training pairs (some 61,000), over 16. It was not run here
on the real data.

docs/datasets.md lists what differs from the authors' release, and why.
"""

from masam_jax.config import ModelConfig
from masam_jax.config.published.settings import PublishedSettings, published_experiment

FOOD101 = PublishedSettings(
    experiment=published_experiment(
        "food101",
        ModelConfig(
            width=512,
            depth=1,
            encoders=("image=resnet50", "text=transformer:heads=4"),
            dropout=0.2,
        ),
    ),
    needs={"image": "ImageNet weights of ResNet-50"},
    published={"masam": 0.935, "mla": 0.928, "late_fusion": 0.907},
)
