"""Breaks what follows a method: the optimizer, its rate, the average, weights of classes."""

from tests.mutants.mutant import in_file

OPTIMIZER = ("tests/training/test_optimizer.py",)
CLASSES = ("tests/training/test_class_balance.py",)

MUTANTS = (
    *in_file(
        "training/optimizer.py",
        OPTIMIZER,
        (
            "what is frozen still decays",
            "_of_modalities(still | scaled, labels, modalities)",
            "_of_modalities(scaled, labels, modalities)",
        ),
        (
            "what is frozen counts in the norm",
            "parts = [_of_modalities(still, labels, modalities), *parts]",
            "parts = [*parts, _of_modalities(still, labels, modalities)]",
        ),
        (
            "sgd forgets its momentum",
            "optax.sgd(rate, config.momentum or None)",
            "optax.sgd(rate, None)",
        ),
        (
            "the schedule of what is shared runs faster",
            "updates_per_step=len(modalities)",
            "updates_per_step=1",
        ),
    ),
    *in_file(
        "training/learning_rate.py",
        ("tests/training/test_learning_rate.py",),
        ("the warm-up begins at zero", "rate / warmup, rate", "0.0, rate"),
        ("the schedule falls past the end", "rate, steps - warmup)", "rate, steps)"),
    ),
    *in_file(
        "training/parameter_average.py",
        ("tests/training/test_parameter_average.py",),
        ("the decay is the share of the new", "(1 - decay, old.dtype)", "(decay, old.dtype)"),
    ),
    *in_file(
        "training/dominance.py",
        ("tests/training/test_dominance.py",),
        ("no step is a switch's first", "(before >= 0) & (now >= 0)", "now >= 0"),
        ("every pair is a switch", "(is_pair & (before != now))", "is_pair"),
        (
            "what is absent may be the largest",
            "jnp.where(here, jnp.stack(",
            "jnp.where(True, jnp.stack(",
        ),
    ),
    *in_file(
        "core/losses.py",
        CLASSES,
        (
            "weights are of the sum alone",
            "jnp.sum(weights * losses), jnp.sum(weights)",
            "jnp.sum(weights * losses), jnp.sum(where)",
        ),
    ),
    *in_file(
        "data/balanced_order.py",
        ("tests/data/test_balanced_order.py",),
        ("epochs of a class are alike", "_ROWS, each, epoch)", "_ROWS, each, 0)"),
        ("all rounds are alike", "_CLASSES, turn)", "_CLASSES, 0)"),
    ),
)
