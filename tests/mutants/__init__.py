"""Places in the library, each with what breaks it and with the tests that are to notice."""

from tests.mutants import core, models, objectives, phases, training, transformations
from tests.mutants.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (
    *core.MUTANTS,
    *models.MUTANTS,
    *transformations.MUTANTS,
    *objectives.MUTANTS,
    *phases.MUTANTS,
    *training.MUTANTS,
)
