"""What an approximate MASAM saves, and whether it is as accurate as the exact one.

    python -m experiments.approximation --dataset mfeat
    python -m experiments.approximation --dataset leaves100.npz --train-size 600
    python -m experiments.approximation --dataset mfeat --features --part 8 --every 5

First ρ is chosen for every method by itself, from the same few, by validation scores of seeds that
nothing else uses. Then all train with fresh seeds, and the table has, of each,

- the test accuracy;
- its difference to exact MASAM, seed by seed, and p of two one-sided t-tests (TOST) against half a
  point: below .05 the two are equal within that margin;
- its difference to late fusion, and p of the paired t-test;
- FLOPs of the compiled step of all seeds, the mean over a cycle, and time, both × late fusion's.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import masam_jax
from masam_jax.analysis.formatting import p_value
from masam_jax.analysis.paired_evidence import equivalence_test
from masam_jax.analysis.records import read_directory
from masam_jax.analysis.statistics import paired_differences, paired_test

MARGIN = 0.005
"""Half a percentage point."""

_LATE, _EXACT = "late_fusion", "masam:rho={rho:g}"
_TUNING_SEED, _QUICK_STEPS = 10_000, 20


class Trained(NamedTuple):
    """What one method left.

    Attributes:
      scores: fractions, one a seed.
      flops: of a step.
      steps_per_second: evaluations among them.
    """

    scores: list[float | None]
    flops: float | None
    steps_per_second: float | None


def patterns(
    every: Sequence[int], reuse: str, features: bool = False, part: int | None = None
) -> list[str]:
    """Specifications with a place for ρ, the exact one first.

    Args:
      every: steps between two perturbed gradients.
      reuse: what those between take of a correction.
      features: γ of features too.
      part: γ of one sample in so many too; None for no such method.
    """
    periods = ["", *(f",perturb_every={k},reuse={reuse}" for k in every)]
    alignments = [""]
    alignments += [",alignment=features"] if features else []
    alignments += [f",alignment_part={part}"] if part is not None else []
    return [f"{_EXACT}{alignment}{period}" for alignment in alignments for period in periods]


def train(dataset: str, specs: Sequence[str], **options: Any) -> dict[str, Trained]:
    """Late fusion and ``specs``, of the same seeds, by their specifications."""
    with tempfile.TemporaryDirectory() as place:
        output = Path(place) / "run"
        masam_jax.compare(dataset, [_LATE, *specs], output=output, progress=False, **options)
        record = read_directory(output)
    found = {}
    for spec, method in zip((_LATE, *specs), record.methods, strict=True):
        result = method.result
        found[spec] = Trained(
            record.scores(method), result.get("flops_per_step"), result.get("steps_per_second")
        )
    return found


def choose(found: dict[str, Trained], pattern: str, radii: Sequence[float]) -> str:
    """The specification with the highest mean score, of those with the ``radii``."""
    means = {}
    for rho in radii:
        spec = pattern.format(rho=rho)
        scores = np.array(found[spec].scores, np.float64)
        means[spec] = scores.mean() if np.isfinite(scores).all() else -np.inf
    return max(means, key=means.__getitem__)


def table(found: dict[str, Trained], exact: str) -> str:
    """Markdown."""
    titles = "method, accuracy %, to exact MASAM, TOST p, to late fusion, p, FLOPs ×, time ×"
    columns = titles.split(", ")
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    late = found[_LATE]
    for spec, each in found.items():
        scores = 100 * np.array(each.scores, np.float64)
        cells = [f"`{spec}`", f"{scores.mean():.2f} ± {scores.std(ddof=1):.2f}"]
        cells += _equivalence(each, found[exact]) if spec not in (exact, _LATE) else ["", ""]
        cells += _difference(each, late) if spec != _LATE else ["", ""]
        cells += [_ratio(each.flops, late.flops), _ratio(late.steps_per_second, each[2])]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _equivalence(one: Trained, exact: Trained) -> list[str]:
    differences = paired_differences(one.scores, exact.scores)
    if differences is None:
        return ["—", "—"]
    test = equivalence_test(differences, MARGIN)
    return [f"{100 * differences.mean():+.2f}", p_value(test.p_value if test else None)]


def _difference(one: Trained, late: Trained) -> list[str]:
    test = paired_test(one.scores, late.scores)
    mean = test.mean_difference
    return ["—" if mean is None else f"{100 * mean:+.2f}", p_value(test.p_value)]


def _ratio(above: float | None, below: float | None) -> str:
    return f"{above / below:.2f}" if above and below else "—"


def main(arguments: Sequence[str] | None = None) -> None:
    """Chooses ρ, trains, and prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dataset", default="mfeat")
    parser.add_argument("--train-size", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=64)
    parser.add_argument("--tuning-seeds", type=int, default=16)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--every", type=int, nargs="*", default=[3, 5])
    parser.add_argument("--reuse", default="lazy")
    parser.add_argument("--rho", type=float, nargs="+", default=[3, 12, 48])
    parser.add_argument("--features", action="store_true", help="γ of features as well")
    parser.add_argument("--part", type=int, metavar="K", help="γ of one sample in K as well")
    parser.add_argument("--quick", action="store_true", help="to see that everything runs")
    asked = parser.parse_args(arguments)
    if asked.quick:
        asked.seeds, asked.tuning_seeds, asked.steps = 2, 2, _QUICK_STEPS
    settings: dict[str, Any] = {
        "train_size": asked.train_size,
        "steps": asked.steps,
        "loggers": (),
        "log_every": 100,
        "evaluate_every": 300,
        "checkpoint_every": 10**9,
    }
    of_methods = patterns(asked.every, asked.reuse, asked.features, asked.part)
    trials = [pattern.format(rho=rho) for pattern in of_methods for rho in asked.rho]
    tuned = train(
        asked.dataset,
        trials,
        seeds=asked.tuning_seeds,
        seed_offset=_TUNING_SEED,
        report_split="validation",
        **settings,
    )
    for spec, each in tuned.items():
        print(f"validation, {spec}: {100 * np.mean(np.array(each.scores, np.float64)):.2f}")
    chosen = [choose(tuned, pattern, asked.rho) for pattern in of_methods]
    print(table(train(asked.dataset, chosen, seeds=asked.seeds, **settings), chosen[0]), flush=True)


if __name__ == "__main__":
    main()
