"""Breaks the rule in one place at a time, and names the test that notices.

    .venv/bin/python -m tests.mutants            # all of them, in a copy of the tree
    .venv/bin/python -m tests.mutants 3 7        # these alone

Exits with 1 where a mutant survives, or where its line is no longer in the code.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]

# From the quickest to the slowest: pytest stops at the first failure.
TESTS = (
    "tests/core/test_masam_arguments.py",
    "tests/core/test_gradients.py",
    "tests/core/test_late_fusion.py",
    "tests/core/test_masam_properties.py",
    "tests/core/test_masam_degenerate.py",
    "tests/core/test_masam_reference.py",
    "tests/contract/test_contract.py",
)


class Mutant(NamedTuple):
    """One line of the core, and what it is turned into."""

    name: str
    file: str
    line: str
    mutation: str


MUTANTS = (
    Mutant(
        "the perturbation points downhill",
        "perturbation.py",
        "step = scale * gradients[i].astype(scale.dtype)",
        "step = -scale * gradients[i].astype(scale.dtype)",
    ),
    Mutant("γ is the mean of per-tensor cosines", "scores.py", "if per_tensor:", "if True:"),
    Mutant(
        "decay uses the average before the step",
        "scores.py",
        "scores.previous_loss[m] - ma_loss)",
        "scores.previous_loss[m] - scores.ma_loss[m])",
    ),
    Mutant(
        "ties go to the last modality",
        "decision.py",
        "best = jnp.argmax(jnp.where(there, values, -jnp.inf)).astype(jnp.int32)",
        "best = (len(modalities) - 1 - jnp.argmax(jnp.where(there, values, -jnp.inf)[::-1]))"
        ".astype(jnp.int32)",
    ),
    Mutant(
        "the clean and the perturbed gradient change places",
        "perturbation.py",
        "difference = gradient[i].astype(clean[i].dtype) - clean[i]",
        "difference = clean[i] - gradient[i].astype(clean[i].dtype)",
    ),
    Mutant(
        "an absent modality's average moves",
        "scores.py",
        "new[field][m] = jnp.where(present[m], value, getattr(scores, field)[m])",
        "new[field][m] = value",
    ),
    Mutant(
        "an absent modality is perturbed",
        "decision.py",
        "scales[m] = jnp.where(present[m], scale, jnp.zeros_like(scale))",
        "scales[m] = scale",
    ),
    Mutant(
        "the first average starts from zero",
        "scores.py",
        "ma_loss = jnp.where(seen, beta_ * scores.ma_loss[m] + (1 - beta_) * loss, loss)",
        "ma_loss = beta_ * scores.ma_loss[m] + (1 - beta_) * loss",
    ),
    Mutant(
        "decay may be negative",
        "scores.py",
        "jnp.maximum(zero, scores.previous_loss[m] - ma_loss)",
        "scores.previous_loss[m] - ma_loss",
    ),
    Mutant(
        "β weighs the new loss",
        "scores.py",
        "beta_ * scores.ma_loss[m] + (1 - beta_) * loss",
        "(1 - beta_) * scores.ma_loss[m] + beta_ * loss",
    ),
    Mutant(
        "the radius grows with the gradient's norm",
        "decision.py",
        "scale = jnp.asarray(radius, dtype) * factor * alignments[m].inverse_norm",
        "scale = jnp.asarray(radius, dtype) * factor",
    ),
    Mutant(
        "γ does not scale the radius",
        "decision.py",
        "factor = alignments[m].cosine if settings.scale_by_alignment else jnp.ones((), dtype)",
        "factor = jnp.ones((), dtype)",
    ),
    Mutant(
        "every modality is perturbed",
        "perturbation.py",
        "m: jnp.where(index == i, self._scales[m], jnp.zeros_like(self._scales[m]))",
        "m: self._scales[m] + 0 * i",
    ),
    Mutant(
        "the second pass differentiates the total loss",
        "signals.py",
        "return self.passes.fusion_loss(tree, args, features, modality)",
        "return self.passes.total_loss(tree, args)",
    ),
    Mutant(
        "the perturbed encoder's features are the clean ones",
        "passes.py",
        "{**features, **fresh}",
        "{**fresh, **features}",
    ),
    Mutant(
        "devices do not agree",
        "collectives.py",
        "return tree if axis_name is None else jax.lax.pmean(tree, axis_name)",
        "return tree",
    ),
    Mutant(
        "the schedule stands still",
        "masam.py",
        "optax.safe_increment(state.count)",
        "state.count",
    ),
    Mutant(
        "a perturbed gradient that is not finite is used",
        "perturbation.py",
        "keep = (scale != 0) & all_finite(gradient[i] for i in mine)",
        "keep = scale != 0",
    ),
)


def main(numbers: list[int]) -> int:
    """Runs the mutants with these numbers, all when there are none; the exit code."""
    survivors = 0
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch)
        for folder in ("masam_jax", "tests"):
            shutil.copytree(ROOT / folder, copy / folder)
        shutil.copy(ROOT / "pyproject.toml", copy)
        for number, mutant in enumerate(MUTANTS, 1):
            if numbers and number not in numbers:
                continue
            caught = _first_failure(copy, mutant)
            survivors += caught is None
            print(f"{number:2d}. {mutant.name}: {caught or 'SURVIVED'}", flush=True)
    return 1 if survivors else 0


def _first_failure(copy: Path, mutant: Mutant) -> str | None:
    target = copy / "masam_jax" / "core" / mutant.file
    original = target.read_text()
    if original.count(mutant.line) != 1:
        raise ValueError(f"{mutant.file} has {mutant.line!r} {original.count(mutant.line)} times")
    target.write_text(original.replace(mutant.line, mutant.mutation))
    try:
        for tests in TESTS:
            done = subprocess.run(
                [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", tests],
                cwd=copy,
                capture_output=True,
                text=True,
                check=False,
                env={**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
            )
            failed = re.search(r"^FAILED (\S+)", done.stdout, re.MULTILINE)
            if failed:
                return failed.group(1)
            if done.returncode:
                raise RuntimeError(f"{tests} could not run:\n{done.stdout}{done.stderr}")
    finally:
        target.write_text(original)
    return None


if __name__ == "__main__":
    sys.exit(main([int(word) for word in sys.argv[1:]]))
