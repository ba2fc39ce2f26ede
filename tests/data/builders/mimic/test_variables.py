import math

import numpy as np
import pytest

from masam_jax.data.builders.mimic.variables import (
    EHR_COLUMNS,
    VARIABLES,
    as_number,
    make_columns,
    split_column,
    variables_of,
)
from tests.data.builders.mimic_source import EYES, HEADER, MOTOR, VERBAL

SCALE = "Glascow coma scale"


def test_there_are_17_variables_and_24_columns():
    assert list(VARIABLES) == HEADER
    assert len(set(VARIABLES)) == 17
    assert len(set(EHR_COLUMNS)) == 24
    assert variables_of(EHR_COLUMNS) == VARIABLES
    levels = [column for column in EHR_COLUMNS if "=" in column]
    assert levels == [
        *(f"{SCALE} eye opening={level}" for level in (1, 2, 3, 4)),
        *(f"{SCALE} verbal response={level}" for level in (1, 2, 3, 4, 5)),
    ]


@pytest.mark.parametrize(
    "variable,text,number",
    [
        ("Heart Rate", "72.0", 72.0),
        ("Heart Rate", " 72 ", 72.0),
        ("pH", "7.35", 7.35),
        ("Temperature", "-1e3", -1000.0),
        (f"{SCALE} eye opening", "None", 1.0),
        (f"{SCALE} eye opening", "3.0", 3.0),
        (f"{SCALE} motor response", "2 Abnorm extensn", 2.0),
        (f"{SCALE} motor response", "Abnormal extension", 2.0),
        (f"{SCALE} motor response", "3 Abnorm flexion", 3.0),
        (f"{SCALE} motor response", "Abnormal Flexion", 3.0),
        (f"{SCALE} motor response", "5 Localizes Pain", 5.0),
        (f"{SCALE} verbal response", "No Response-ETT", 1.0),
        (f"{SCALE} verbal response", "1.0 ET/Trach", 1.0),
        (f"{SCALE} verbal response", "2 Incomp sounds", 2.0),
        (f"{SCALE} verbal response", "Inappropriate Words", 3.0),
    ],
)
def test_cells(variable, text, number):
    assert as_number(variable, text) == number


def test_words_that_start_with_their_points_say_so_themselves():
    for part, levels in (("eye opening", EYES), ("motor response", MOTOR)):
        for level, words in levels.items():
            assert {as_number(f"{SCALE} {part}", word) for word in words} == {level}
    for level, words in VERBAL.items():
        assert {as_number(f"{SCALE} verbal response", word) for word in words} == {level}


def test_an_empty_cell_is_no_number():
    assert math.isnan(as_number("Glucose", ""))
    assert math.isnan(as_number(f"{SCALE} eye opening", " "))


@pytest.mark.parametrize(
    "variable,text",
    [
        ("Glucose", "high"),
        ("Glucose", "inf"),
        ("Glucose", "nan"),
        ("Glucose", "Spontaneously"),
        (f"{SCALE} eye opening", "5"),
        (f"{SCALE} eye opening", "2.5"),
        (f"{SCALE} motor response", "Confused"),
    ],
)
def test_other_cells_are_refused(variable, text):
    with pytest.raises(ValueError, match=f"^{variable} is '{text}'$"):
        as_number(variable, text)


@pytest.mark.parametrize("column", [f"{SCALE} eye opening=5", "Glucose=1", f"{SCALE} total=15"])
def test_levels_that_are_not_are_refused(column):
    with pytest.raises(ValueError, match=f"columns name '{column}'; the levels of"):
        split_column(column)


def test_columns_are_values_and_levels():
    eyes = f"{SCALE} eye opening"
    columns = ("pH", f"{eyes}=4", eyes, f"{eyes}=1")
    assert variables_of(columns) == ("pH", eyes)
    values = np.array([[[7.4, 4.0], [np.nan, 1.0]], [[7.1, np.nan], [6.9, 2.0]]], np.float32)
    nan = np.nan
    expected = [
        [[7.4, 1, 4, 0], [nan, 0, 1, 1]],
        [[7.1, nan, nan, nan], [6.9, 0, 2, 0]],
    ]
    found = make_columns(values, columns)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-6)
