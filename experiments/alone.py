"""An experiment's file as a program: ``python -m experiments.NAME``."""

import sys

from experiments.paper import PaperExperiment
from masam_jax.cli.command_line import main


def run_alone(experiment: PaperExperiment) -> None:
    """Does what ``masam experiment NAME`` does with the words of the command line, and exits."""
    words = ["experiment", experiment.name, *sys.argv[1:]]
    # Messages and pages name the command.
    sys.argv[0] = "masam"
    sys.exit(main(words))
