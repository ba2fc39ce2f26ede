"""The study's measurements as a file, so that its tables need no machine that trained it.

    python -m experiments.study_file collect runs/experiments docs/study_measurements.csv
    python -m experiments.study_file tables docs/study_measurements.csv --output runs/experiments

``collect`` reads every case of a directory of experiments that is finished; cases that the file
has and the directory lacks stay. ``tables`` writes what ``masam experiment study`` writes at its
end, and prints the claim.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from experiments.paper import FinishedRun, Scale
from experiments.study import EXPERIMENT, findings
from experiments.study_cases import CONSTRUCTED, OPEN_SETS, cases_of
from experiments.study_csv import as_csv, read_csv
from experiments.study_measurements import CaseMeasurements, measure_case
from masam_jax.analysis.records import read_directory
from masam_jax.analysis.result_page import RESULT_TABLES, ResultPage, save_result_page
from masam_jax.config.errors import RunError, user_errors
from masam_jax.training.storage.atomic_files import read_json, write_text
from masam_jax.tuning.best_file import BEST_FILE

DATASETS = (*OPEN_SETS, *CONSTRUCTED)


def collect(output: Path) -> list[CaseMeasurements]:
    """Every case of the study that is finished in a directory of experiments."""
    found = []
    for dataset in DATASETS:
        for planned in EXPERIMENT.plan(dataset, Scale()):
            place = output / "runs" / planned.slug / planned.label
            best = place.with_name(f"{place.name}-search") / BEST_FILE
            if not (place / "results.json").is_file() or not best.is_file():
                continue
            record = read_directory(place)
            run = planned.with_found([row["best"] for row in read_json(best)["tuned"]])
            trained = tuple(method.result["spec"] for method in record.methods)
            if trained != run.specifications:
                raise RunError(f"{place} compares {trained}, the study {run.specifications}")
            found.append(measure_case(FinishedRun(run, record)))
    return found


def merged(
    old: Iterable[CaseMeasurements], new: Iterable[CaseMeasurements]
) -> list[CaseMeasurements]:
    """The new cases, and the old ones that are not among them, in the study's order."""
    by_name = {(each.dataset, each.case): each for each in (*old, *new)}
    order = [(dataset, case.words) for dataset in DATASETS for case in cases_of(dataset)]
    return [by_name[name] for name in sorted(by_name, key=order.index)]


def write_tables(file: Path, output: Path, command: str) -> tuple[Path, tuple[str, ...]]:
    """Tables and picture of a file's cases, and what is found, in words.

    Args:
      file: of `as_csv`.
      output: directory of all experiments; what is written is in the study's part of it.
      command: that does this, for the page.

    Returns:
      The page's path, and the remarks.

    Raises:
      RunError: the file is not of that form, or has no case.
    """
    cases = read_csv(file)
    if not cases:
        raise RunError(f"{file} has no case")
    found = findings(cases)
    page = ResultPage(
        heading=EXPERIMENT.question,
        remarks=found.remarks,
        facts=(
            ("Experiment", EXPERIMENT.name),
            ("Data", ", ".join(dict.fromkeys(case.dataset for case in cases))),
            ("Runs", str(len(cases))),
            ("Seeds", " or ".join(map(str, sorted({len(case.seeds) for case in cases})))),
        ),
        tables=found.tables,
        plots=found.plots,
        command=command,
        kicker="experiment",
    )
    return save_result_page(page, output / EXPERIMENT.name), found.remarks


def main(arguments: Sequence[str] | None = None) -> None:
    """Does what is asked; a mistake is told in a line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    collecting = commands.add_parser("collect", help="read finished cases into a file")
    collecting.add_argument("output", type=Path, help="directory of all experiments")
    collecting.add_argument("file", type=Path)
    concluding = commands.add_parser("tables", help="write tables and the claim of a file")
    concluding.add_argument("file", type=Path)
    concluding.add_argument("--output", type=Path, default=Path("runs/experiments"))
    asked = parser.parse_args(arguments)
    try:
        with user_errors():
            if asked.command == "collect":
                new = collect(asked.output)
                old = read_csv(asked.file) if asked.file.is_file() else []
                cases = merged(old, new)
                write_text(asked.file, as_csv(cases))
                print(f"{asked.file}: {len(cases)} cases, {len(new)} of them from {asked.output}")
            else:
                words = f"python -m experiments.study_file tables {asked.file}"
                page, remarks = write_tables(asked.file, asked.output, words)
                print(*remarks, f"written: {page}, {page.with_name(RESULT_TABLES)}", sep="\n")
    except (RunError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
