"""AV digits: handwritten and spoken digits, a demonstration that needs no download.

    masam compare --dataset av_digits
    masam train --dataset av_digits --method masam:rho=3

A small convolutional network for the image and one for the log-mel spectrogram. It is no data set
of the paper, and has no published number.
"""

from masam_jax.config import (
    DataConfig,
    EvaluationConfig,
    Experiment,
    ModelConfig,
    OptimizationConfig,
    SeedConfig,
)
from masam_jax.config.published.settings import PublishedSettings

AV_DIGITS = PublishedSettings(
    experiment=Experiment(
        data=DataConfig("av_digits", train_size=None, validation_size=None, test_size=None),
        model=ModelConfig(width=32),
        optimization=OptimizationConfig(epochs=10, batch_size=64, learning_rate=2e-3),
        seeds=SeedConfig(seeds=4),
        evaluation=EvaluationConfig(evaluate_every=None, checkpoint_every=None),
    ),
    compared=("late_fusion", "sam", "masam", "masam:rho=3"),
)
