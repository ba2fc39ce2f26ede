"""Spoken and written digits: a small convolutional network for sound and one for the image.

    masam compare --dataset av_mnist:speakers=held_out

It is no data set of the paper, and has no published number.
"""

from masam_jax.config import (
    DataConfig,
    EvaluationConfig,
    Experiment,
    ModelConfig,
    OptimizationConfig,
    SeedConfig,
)
from masam_jax.config.published.own import COMPARED
from masam_jax.config.published.settings import PublishedSettings

AV_MNIST = PublishedSettings(
    experiment=Experiment(
        data=DataConfig("av_mnist", train_size=300, validation_size=500, test_size=1000),
        model=ModelConfig(width=32, encoders=("audio=conv", "image=conv")),
        optimization=OptimizationConfig(steps=300, batch_size=50, learning_rate=2e-3),
        seeds=SeedConfig(seeds=4),
        evaluation=EvaluationConfig(evaluate_every=50),
    ),
    compared=COMPARED,
)
