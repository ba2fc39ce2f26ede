"""Data of one's own: all rows are used, in parts of their own or drawn by share.

masam compare --dataset table.csv
masam train --dataset table.csv:label=species --method masam:rho=12
"""

from masam_jax.config.data import DataConfig
from masam_jax.config.experiment import Experiment
from masam_jax.config.published.settings import PublishedSettings
from masam_jax.config.training import OptimizationConfig, SeedConfig

COMPARED = (
    "fusion_only",
    "late_fusion",
    "sam",
    "masam:rho=12",
    "recommended",
)


def own_settings(dataset: str) -> PublishedSettings:
    """Where the command line starts for data of one's own.

    Args:
      dataset: ``PLACE[:OPTION=VALUE,...]``.
    """
    data = DataConfig(dataset, train_size=None, validation_size=None, test_size=None)
    experiment = Experiment(
        data=data,
        optimization=OptimizationConfig(batch_size=32, learning_rate=2e-3),
        seeds=SeedConfig(seeds=4),
    )
    return PublishedSettings(experiment=experiment, compared=COMPARED)
