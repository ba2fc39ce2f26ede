"""The study's measurements, written as a table and read again; what is no such table is refused."""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from experiments.study_cases import CASES
from experiments.study_measurements import (
    LOOKED_INTO,
    SHARPNESS_SEEDS,
    CaseMeasurements,
    Place,
)
from experiments.study_methods import ALONE, FUSION_ALONE, LATE_FUSION, TUNED, UNTUNED
from masam_jax.config.errors import RunError

_KEYS = ("dataset", "case", "method", "specification", "measure", "modality")
_DIVERGED = "diverged"
# All that float32 has.
_DIGITS = 9
_SHARPNESS = "sharpness"
_OF_MODALITIES = ("probe_accuracy", "unimodal_accuracy", "validation_unimodal_accuracy")
_MEASURES = ("score", "accuracy", *_OF_MODALITIES, _SHARPNESS)


def as_csv(cases: Sequence[CaseMeasurements]) -> str:
    """A row for each measure of each method, a column for each seed.

    Raises:
      RunError: cases have other seeds than the first.
    """
    seeds = cases[0].seeds if cases else ()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*_KEYS, *seeds))
    for case in cases:
        if case.seeds != seeds:
            raise RunError(f"{case.title} has the seeds {case.seeds}, {cases[0].title} {seeds}")
        for place, values in case.values.items():
            shown = [_DIVERGED if v is None else f"{v:.{_DIGITS}g}" for v in values]
            shown += [""] * (len(seeds) - len(shown))
            keys = (case.dataset, case.case, place.method, case.methods[place.method])
            writer.writerow((*keys, place.measure, place.modality, *shown))
    return text.getvalue()


def read_csv(path: Path) -> list[CaseMeasurements]:
    """The cases of a file.

    Raises:
      RunError: it is not of that form, or a case of it is not whole.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        header, *rows = list(csv.reader(lines)) or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise RunError(f"{path} is no table in UTF-8: {error}") from error
    if tuple(header[: len(_KEYS)]) != _KEYS:
        raise RunError(f"{path} begins with {header}; measurements begin with {list(_KEYS)}")
    seeds = _seeds(path, header[len(_KEYS) :])
    cases: dict[tuple[str, str], CaseMeasurements] = {}
    for number, row in enumerate(rows, start=2):
        here = f"{path}, line {number}"
        if len(row) != len(header):
            raise RunError(f"{here} has {len(row)} columns, the first {len(header)}")
        dataset, case, method, spec, measure, modality = row[: len(_KEYS)]
        place, values = Place(method, measure, modality), _values(here, measure, row[len(_KEYS) :])
        known = cases.setdefault((dataset, case), CaseMeasurements(dataset, case, seeds, {}, {}))
        if place in known.values:
            raise RunError(f"{here}: {measure} of {method} is there twice")
        if known.methods.get(method, spec) != spec:
            raise RunError(f"{here}: {method} is {spec} here and {known.methods[method]} above")
        cases[dataset, case] = CaseMeasurements(
            dataset, case, seeds, {**known.methods, method: spec}, {**known.values, place: values}
        )
    for each in cases.values():
        _check_whole(path, each)
    return list(cases.values())


def _seeds(path: Path, header: Sequence[str]) -> tuple[int, ...]:
    if not all(word.isdecimal() for word in header) or len(set(header)) < max(len(header), 2):
        raise RunError(f"{path}: {header} are no seeds; two different whole numbers at least")
    return tuple(map(int, header))


def _values(here: str, measure: str, row: Sequence[str]) -> list[float | None]:
    """Of one row; where a measure is of the first seeds alone the rest is empty."""
    if measure not in _MEASURES:
        raise RunError(f"{here}: unknown measure {measure!r} (known: {', '.join(_MEASURES)})")
    there = len(row)
    if measure == _SHARPNESS:
        there = min(max(sum(map(bool, row)), 1), SHARPNESS_SEEDS)
    if any(row[there:]) or not all(row[:there]):
        raise RunError(f"{here}: {measure} needs {there} numbers, from the first seed on")
    return [_value(here, measure, text) for text in row[:there]]


def _value(here: str, measure: str, text: str) -> float | None:
    if text == _DIVERGED:
        return None
    try:
        value = float(text)
    except ValueError as error:
        raise RunError(f"{here}: {text!r} is not a number (float) nor {_DIVERGED!r}") from error
    # Of a network whose loss is not finite nothing is known of how it rises.
    if measure != _SHARPNESS and not (math.isfinite(value) and 0 <= value <= 1):
        raise RunError(f"{here}: {measure} is {text}; it must lie in 0..1")
    return value


def _check_whole(path: Path, case: CaseMeasurements) -> None:
    known = {(each.dataset, each.words) for each in CASES}
    if (case.dataset, case.case) not in known:
        raise RunError(f"{path}: the study has no case {case.title!r}")
    for method, measure in _needed(case):
        if not case.by_modality(method, measure):
            raise RunError(f"{path}: {case.title} lacks {measure} of {method}")
    modalities = set(case.by_modality(ALONE, _OF_MODALITIES[0]))
    for method, measure, modality in case.values:
        if measure in _OF_MODALITIES and modality not in modalities:
            raise RunError(
                f"{path}: {case.title}: {ALONE} has no modality {modality!r}, {method} has"
            )


def _needed(case: CaseMeasurements) -> Iterator[tuple[str, str]]:
    """Method and measure of what tables are made from."""
    for method in {**UNTUNED, **TUNED, **case.methods}:
        yield method, "score"
    looked_into = [m for m in LOOKED_INTO if m in case.methods] if case.has_factors else []
    for method in {*looked_into, FUSION_ALONE, ALONE, *([LATE_FUSION] if looked_into else [])}:
        yield method, "accuracy"
        for measure in _OF_MODALITIES:
            yield method, measure
        if looked_into and method != ALONE:
            yield method, _SHARPNESS
