"""One-hundred plant species leaves: four leaves of each species, an MLP for each set of features.

    masam compare --dataset leaves100

It is no data set of the paper, and has no published number.
"""

from masam_jax.config import DataConfig, Experiment, OptimizationConfig
from masam_jax.config.published.own import COMPARED
from masam_jax.config.published.settings import PublishedSettings

LEAVES100 = PublishedSettings(
    experiment=Experiment(
        data=DataConfig("leaves100", train_size=400, validation_size=400, test_size=800),
        optimization=OptimizationConfig(steps=600, batch_size=100),
    ),
    compared=COMPARED,
)
