"""Whether ``masam diagnose`` is right where the truth is known: constructed data, drawn anew.

    python -m experiments.diagnosis_cases --output runs/diagnosis_cases

Every draw of every case is one file of the output; those that are there are not run again. The
table says in how many draws the diagnosis said what is true. The thresholds of the diagnosis were
chosen on draws 0 to 4 and 40 to 42; those that are judged here start at 100.
"""

import argparse
import dataclasses
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from masam_jax.config import (
    DataConfig,
    EvaluationConfig,
    Experiment,
    ModelConfig,
    OptimizationConfig,
    OutputConfig,
    SeedConfig,
)
from masam_jax.diagnosis import Diagnosis, execute_diagnosis, plan_diagnosis
from masam_jax.training.storage.atomic_files import read_json, write_json


@dataclasses.dataclass(frozen=True)
class Case:
    """A constructed case.

    Attributes:
      options: of ``synthetic``.
      truth: what a right diagnosis says, in words.
      is_right: whether one did.
      width: of the encoders.
      fusion: the fusion head.
    """

    options: str
    truth: str
    is_right: Callable[[Diagnosis], bool]
    width: int = 32
    fusion: str = "concat"


def _is_drowned(found: Diagnosis) -> bool:
    return found.drowned == ("m1",) and found.modalities["m1"].difference < 0


def _drowns_nobody(found: Diagnosis) -> bool:
    return not found.drowned and found.dominant in ("m0", None)


def _is_silent(found: Diagnosis) -> bool:
    return not found.is_anything_wrong and found.dominant is None


def _is_quiet(found: Diagnosis) -> bool:
    return not found.is_anything_wrong


def _is_noise(found: Diagnosis) -> bool:
    return not found.drowned and found.informative == ("m0",) and found.dominant == "m0"


def _is_joint(found: Diagnosis) -> bool:
    worth = found.fusion.interval is not None and found.fusion.interval[0] > 0
    return not found.informative and worth and not found.is_anything_wrong


def _competes(found: Diagnosis) -> bool:
    fusion, slow = found.fusion, found.modalities["slow"]
    below = fusion.best == "slow" and fusion.difference <= -0.05
    return found.drowned == ("slow",) and below and slow.difference <= -0.1


CASES: dict[str, Case] = {
    "drowned": Case(
        "dominance=8/1,shared=1,within_class=0.2", "m1 is drowned", _is_drowned, width=8
    ),
    "ahead": Case("dominance=8/1", "m0 is ahead, and drowns nobody", _drowns_nobody),
    "balanced": Case("dominance=1/1", "nothing is wrong, nobody dominates", _is_silent),
    "redundant": Case("dominance=1/1,shared=1", "nothing is wrong", _is_quiet),
    "noise": Case("dominance=2/0", "m1 says nothing; nobody is drowned", _is_noise),
    "xor": Case("case=xor", "nothing alone, fusion is worth it", _is_joint, fusion="film"),
    "pad": Case("case=pad", "nothing alone, fusion is worth it", _is_joint),
    "competition": Case("case=competition", "slow is drowned, fusion 5 points below", _competes),
}


def run_draw(case: Case, draw: int, seeds: int) -> tuple[Diagnosis, dict[str, Any]]:
    """One diagnosis, and its ``diagnosis.json``; the run is deleted.

    Args:
      case: the case.
      draw: seed of the data.
      seeds: number of training seeds.
    """
    never = 10**9
    experiment = Experiment(
        data=DataConfig(f"synthetic:{case.options},seed={draw}"),
        model=ModelConfig(width=case.width, fusion=case.fusion),  # type: ignore[arg-type]
        optimization=OptimizationConfig(),
        seeds=SeedConfig(seeds),
        evaluation=EvaluationConfig(evaluate_every=100, log_every=100, checkpoint_every=never),
    )
    place = Path(tempfile.mkdtemp())
    try:
        output = OutputConfig(str(place / "run"), no_plots=True)
        found = execute_diagnosis(plan_diagnosis(experiment), output)
        return found, read_json(place / "run" / "diagnosis.json")
    finally:
        shutil.rmtree(place)


def table(outcomes: Mapping[str, Sequence[bool]]) -> str:
    """The shares of right diagnoses, as Markdown."""
    lines = ["| case | data | a right diagnosis says | right |", "|---|---|---|---|"]
    for name, right in outcomes.items():
        case = CASES[name]
        lines.append(
            f"| {name} | `synthetic:{case.options}` | {case.truth} | {sum(right)} of {len(right)} |"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the draws that are not there yet, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("runs/diagnosis_cases"))
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--first-draw", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    asked = parser.parse_args(arguments)
    asked.output.mkdir(parents=True, exist_ok=True)
    # Draws of a case differ in their numbers alone.
    jax.config.update("jax_compilation_cache_dir", str(asked.output / "programs"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    outcomes: dict[str, list[bool]] = {name: [] for name in asked.cases}
    for draw in range(asked.first_draw, asked.first_draw + asked.draws):
        for name in asked.cases:
            outcomes[name].append(_outcome(asked.output, name, draw, asked.seeds))
    print(table(outcomes))


def _outcome(output: Path, name: str, draw: int, seeds: int) -> bool:
    path = output / f"{name}-{draw}-of-{seeds}-seeds.json"
    if not path.is_file():
        found, content = run_draw(CASES[name], draw, seeds)
        right = CASES[name].is_right(found)
        write_json(path, {"right": right, **content})
        print(f"{name} {draw}: {'right' if right else 'WRONG'}. {found.verdict}", flush=True)
    return bool(read_json(path)["right"])


if __name__ == "__main__":
    main()
