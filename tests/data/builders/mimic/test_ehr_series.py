import math

import numpy as np
import pytest

from masam_jax.data.builders.mimic.ehr_series import (
    HOURS,
    column_statistics,
    forward_fill,
    hourly_values,
    hours_of,
    network_sequence,
    read_series,
)
from masam_jax.data.builders.mimic.variables import EHR_COLUMNS, VARIABLES
from masam_jax.data.damaged_media import DamagedMedia

EYES = "Glascow coma scale eye opening"
# Of the variables pH and eye opening.
FEW = ("pH", f"{EYES}=4", f"{EYES}=1")


def made_series(seed, period=120.0, variables=17, measurements=90):
    """Times in order, some of them whole hours, some twice, and values with gaps."""
    random = np.random.default_rng(seed)
    times = np.concatenate(
        [random.uniform(0, period, measurements), random.integers(0, int(period) + 1, 25), [0.0]]
    )
    times = np.sort(np.concatenate([times, times[:5]]))
    values = random.normal(50, 20, (len(times), variables))
    values[random.random(values.shape) < 0.6] = np.nan
    return times, values


def hourly_reference(times, values, period):
    """Each hour and variable by itself: the last of the values in (hour, hour + 1]."""
    found = np.full((48, values.shape[1]), np.nan)
    for hour in range(48):
        for variable in range(values.shape[1]):
            for time, value in zip(times, values[:, variable], strict=True):
                inside = hour < time <= hour + 1 or (hour == 0 and time == 0)
                if inside and time <= period and not math.isnan(value):
                    found[hour, variable] = value
    return found


@pytest.mark.parametrize("period", [120.0, 48.0, 30.5, 31.0, 0.4])
def test_the_last_value_of_every_hour(period):
    times, values = made_series(0)
    found = hourly_values(times, values, period)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, hourly_reference(times, values, period).astype(np.float32))
    assert np.isnan(found[hours_of(period) :]).all()


def test_times_before_admission_are_left_out():
    found = hourly_values(np.array([-5.0, -0.001, 0.0]), np.array([[1.0], [2.0], [np.nan]]), 48.0)
    assert np.isnan(found).all()


def test_the_end_of_an_hour_belongs_to_it_despite_rounding():
    times = np.array([1.0, 1.0 + 1e-9, 48.0 + 1e-9])
    found = hourly_values(times, np.array([[1.0], [2.0], [3.0]]), 60.0)
    assert found[0, 0] == 2
    assert np.isnan(found[1:47]).all()
    assert found[47, 0] == 3


@pytest.mark.parametrize(
    "period,hours",
    [
        (0.0, 1),
        (0.2, 1),
        (1.0, 1),
        (1.01, 2),
        (30.0000004, 30),
        (47.2, 48),
        (48.0, 48),
        (300.0, 48),
    ],
)
def test_hours_that_have_begun(period, hours):
    assert hours_of(period) == hours


def test_the_last_value_so_far():
    values = np.random.default_rng(0).normal(size=(48, 6))
    values[np.random.default_rng(1).random(values.shape) < 0.7] = np.nan
    values[:, 4] = np.nan
    expected = values.copy()
    for row in range(1, 48):
        for column in range(6):
            if math.isnan(expected[row, column]):
                expected[row, column] = expected[row - 1, column]
    found = forward_fill(values)
    np.testing.assert_array_equal(found, expected)
    assert np.isnan(found[:, 4]).all()
    assert np.isnan(found).any(axis=0).sum() > 1


def _column(series, column):
    """Values of a column of a stay, one by one."""
    variable, equals, level = column.partition("=")
    value = series[:, VARIABLES.index(variable)]
    return np.where(np.isnan(value), np.nan, value == int(level)) if equals else value


def made_hourly(count=6):
    """Hourly values of stays; eye opening and verbal response are points of the scale."""
    stays = []
    for seed in range(count):
        hourly = hourly_values(*made_series(seed), 48.0)
        random = np.random.default_rng(seed)
        for name in (EYES, "Glascow coma scale verbal response"):
            column = hourly[:, VARIABLES.index(name)]
            points = random.integers(1, 5, 48)
            hourly[:, VARIABLES.index(name)] = np.where(np.isnan(column), np.nan, points)
        hourly[:, VARIABLES.index("Height")] = np.nan
        hourly[3, VARIABLES.index("Weight")] = 80
        hourly[4:, VARIABLES.index("Weight")] = np.nan
        hourly[:3, VARIABLES.index("Weight")] = np.nan
        stays.append(hourly)
    return stays


def _quantile(values, share):
    """Linear between the two nearest of the sorted values."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def statistics_reference(stays):
    median, iqr = [], []
    for column in EHR_COLUMNS:
        known = [float(v) for stay in stays for v in _column(stay, column) if not math.isnan(v)]
        median.append(_quantile(known, 0.5) if known else 0.0)
        spread = _quantile(known, 0.75) - _quantile(known, 0.25) if known else 0.0
        iqr.append(spread if spread else 1.0)
    return {"median": np.array(median), "iqr": np.array(iqr)}


def test_statistics_are_of_what_was_measured():
    stays = made_hourly()
    found = column_statistics(iter(stays), EHR_COLUMNS)
    expected = statistics_reference(stays)
    for name in ("median", "iqr"):
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-6)
    # Never measured, and always the same.
    assert [found[name][EHR_COLUMNS.index("Height")] for name in ("median", "iqr")] == [0, 1]
    assert [found[name][EHR_COLUMNS.index("Weight")] for name in ("median", "iqr")] == [80, 1]
    assert (found["iqr"] > 0).all()


def sequence_reference(hourly, hours, fitted, limit):
    """Filled and scaled, column by column, in float64."""
    values = np.zeros((48, 48))
    for index, column in enumerate(EHR_COLUMNS):
        measured = _column(hourly, column)
        last = math.nan
        for hour in range(hours):
            if not math.isnan(measured[hour]):
                last = float(measured[hour])
                values[hour, 24 + index] = 1
            filled = fitted["median"][index] if math.isnan(last) else last
            scaled = (filled - fitted["median"][index]) / fitted["iqr"][index]
            outside = limit is not None and abs(scaled) > limit
            values[hour, index] = 0.0 if outside else scaled
    return values


@pytest.mark.parametrize("hours", [48, 31, 1])
@pytest.mark.parametrize("limit", [None, 1.0])
def test_what_the_network_sees(hours, limit):
    stays = made_hourly()
    fitted = column_statistics(stays, EHR_COLUMNS)
    # What a stay has after its hours is not looked at.
    found = network_sequence(stays[2], hours, EHR_COLUMNS, fitted, limit)
    expected = sequence_reference(stays[2], hours, fitted, limit)
    assert found["values"].dtype == np.float32
    np.testing.assert_allclose(found["values"], expected, rtol=1e-5, atol=1e-6)
    assert found["mask"].tolist() == [True] * hours + [False] * (48 - hours)
    assert (found["values"][hours:] == 0).all()
    if limit:
        assert np.abs(found["values"][:, :24]).max() <= limit
        assert (expected[:, :24] != sequence_reference(stays[2], hours, fitted, None)[:, :24]).any()


def test_other_columns():
    hourly = np.full((HOURS, 2), np.nan, np.float32)
    hourly[2] = (7.2, 4)
    hourly[4] = (7.5, 1)
    fitted = {"median": np.array([7.4, 0, 1]), "iqr": np.array([0.1, 1, 2])}
    found = network_sequence(hourly, 6, FEW, fitted, None)["values"]
    expected = np.zeros((48, 6))
    # Before the first value there is the median, which is 0 when scaled.
    expected[2:4, :3] = (-2, 1, -0.5)
    expected[4:6, :3] = (1, 0, 0)
    expected[[2, 4], 3:] = 1
    np.testing.assert_allclose(found, expected, atol=1e-5)


HEADER = "Hours,Glucose,pH,Glascow coma scale eye opening\n"


def _read(tmp_path, text):
    path = tmp_path / "stay.csv"
    path.write_text(text)
    return read_series(path, ("pH", EYES))


def test_a_file_is_read_by_its_columns(tmp_path):
    times, values = _read(tmp_path, f"{HEADER}0.5,100,,None\n0.5,high,7.4,\n3,,7.25,4\n")
    assert times.tolist() == [0.5, 0.5, 3.0]
    np.testing.assert_array_equal(values, [[np.nan, 1], [7.4, np.nan], [7.25, 4]])


@pytest.mark.parametrize(
    "text,why",
    [
        ("", "there is no column 'Glascow coma scale eye opening'"),
        ("Hours,pH\n0,7\n", "there is no column 'Glascow coma scale eye opening'"),
        (HEADER, "there is no measurement"),
        (f"{HEADER}0.5,1,7\n", "line 2: cells lack or are too many"),
        (f"{HEADER}0.5,1,7,4,9\n", "line 2: cells lack or are too many"),
        (f"{HEADER}0.5,1,7,4\n0.6,1,acid,4\n", "line 3: pH is 'acid'"),
        (f"{HEADER}0.5,1,7,4\n0.6,1,7,9\n", "line 3: .* eye opening is '9'"),
        (f"{HEADER},1,7,4\n", "hours are missing or decrease"),
        (f"{HEADER}0.5,1,7,4\n0.4,1,7,4\n", "hours are missing or decrease"),
        (f'{HEADER}0.5,"1"x,7,4\n', "expected after"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, text, why):
    with pytest.raises(DamagedMedia, match=rf"stay\.csv.*{why}"):
        _read(tmp_path, text)


def test_files_that_are_no_text_or_not_there(tmp_path):
    path = tmp_path / "stay.csv"
    with pytest.raises(DamagedMedia, match=r"stay\.csv: there is no such file"):
        read_series(path, ("pH",))
    path.write_bytes(b"Hours,pH\n\xff\xfe,7\n")
    with pytest.raises(DamagedMedia, match=r"stay\.csv: .*decode"):
        read_series(path, ("pH",))
