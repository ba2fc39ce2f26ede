"""The 17 variables of the benchmark extraction, and the 24 columns made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

VARIABLES = (
    "Capillary refill rate",
    "Diastolic blood pressure",
    "Fraction inspired oxygen",
    "Glascow coma scale eye opening",
    "Glascow coma scale motor response",
    "Glascow coma scale total",
    "Glascow coma scale verbal response",
    "Glucose",
    "Heart Rate",
    "Height",
    "Mean blood pressure",
    "Oxygen saturation",
    "Respiratory rate",
    "Systolic blood pressure",
    "Temperature",
    "Weight",
    "pH",
)
"""Columns of a stay's time series beside ``Hours``, spelled as the extraction spells them."""

_EYES, _MOTOR, _VERBAL = (
    f"Glascow coma scale {part}" for part in ("eye opening", "motor response", "verbal response")
)

LEVELS: Mapping[str, Mapping[str, int]] = {
    _EYES: {
        "1 no response": 1,
        "none": 1,
        "2 to pain": 2,
        "to pain": 2,
        "3 to speech": 3,
        "to speech": 3,
        "4 spontaneously": 4,
        "spontaneously": 4,
    },
    _MOTOR: {
        "1 no response": 1,
        "no response": 1,
        "2 abnorm extensn": 2,
        "abnormal extension": 2,
        "3 abnorm flexion": 3,
        "abnormal flexion": 3,
        "4 flex-withdraws": 4,
        "flex-withdraws": 4,
        "5 localizes pain": 5,
        "localizes pain": 5,
        "6 obeys commands": 6,
        "obeys commands": 6,
    },
    _VERBAL: {
        "1 no response": 1,
        "no response": 1,
        "no response-ett": 1,
        "1.0 et/trach": 1,
        "2 incomp sounds": 2,
        "incomprehensible sounds": 2,
        "3 inapprop words": 3,
        "inappropriate words": 3,
        "4 confused": 4,
        "confused": 4,
        "5 oriented": 5,
        "oriented": 5,
    },
}
"""Words of the Glasgow coma scale, lower case, as the scale's points; an intubated patient's
verbal response counts as none. Bare numbers are accepted too."""

EHR_COLUMNS = (
    "Capillary refill rate",
    "Diastolic blood pressure",
    "Fraction inspired oxygen",
    *(f"{_EYES}={level}" for level in range(1, 5)),
    _MOTOR,
    "Glascow coma scale total",
    *(f"{_VERBAL}={level}" for level in range(1, 6)),
    *VARIABLES[7:],
)
"""What the network sees of the variables, 24 columns: all of them, as numbers, but eye opening and
verbal response as one column a level. ``"name"`` is a variable's value, ``"name=level"`` is 1
where it is that level and 0 where it is another."""


def split_column(column: str) -> tuple[str, int | None]:
    """A column's variable, and its level if it has one.

    Raises:
      ValueError: a level of a variable without levels, or one that the variable does not have.
    """
    variable, equals, level = column.partition("=")
    if not equals:
        return variable, None
    known = sorted({str(found) for found in LEVELS.get(variable, {}).values()})
    if level not in known:
        raise ValueError(
            f"columns name {column!r}; the levels of {variable!r} are {known or 'not known'}."
        )
    return variable, int(level)


def variables_of(columns: Sequence[str]) -> tuple[str, ...]:
    """The variables that columns are made of, each once, in the order in which they come."""
    return tuple(dict.fromkeys(split_column(column)[0] for column in columns))


def as_number(variable: str, text: str) -> float:
    """A cell of a time series; NaN where it is empty.

    Raises:
      ValueError: neither a finite number nor a level of the variable.
    """
    text = text.strip()
    if not text:
        return np.nan
    level = LEVELS.get(variable, {}).get(text.lower())
    if level is not None:
        return float(level)
    try:
        number = float(text)
    except ValueError:
        number = np.inf
    allowed = LEVELS.get(variable, {}).values()
    if not np.isfinite(number) or (allowed and number not in allowed):
        raise ValueError(f"{variable} is {text!r}")
    return number


def make_columns(values: np.ndarray, columns: Sequence[str]) -> np.ndarray:
    """Columns out of variables; NaN where the variable is.

    Args:
      values: ``[..., V]``, in the order of ``variables_of(columns)``.
      columns: C names.

    Returns:
      float64 ``[..., C]``.
    """
    variables = variables_of(columns)
    made = []
    for column in columns:
        variable, level = split_column(column)
        value = values[..., variables.index(variable)].astype(np.float64)
        if level is not None:
            value = np.where(np.isnan(value), np.nan, value == level)
        made.append(value)
    return np.stack(made, axis=-1)
