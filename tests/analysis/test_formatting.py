import pytest

from masam_jax.analysis import formatting
from masam_jax.analysis.statistics import Summary


@pytest.mark.parametrize(
    "value,signed,text",
    [
        (0.004, True, "0.00"),
        (-0.004, True, "0.00"),
        (-1.236, False, "−1.24"),
        (10.0, True, "+10.00"),
        (None, True, "—"),
    ],
)
def test_numbers_have_a_sign_only_if_they_show_a_difference(value, signed, text):
    assert formatting.number(value, signed=signed) == text


def test_spread_that_is_not_defined_is_a_dash():
    assert formatting.percent(Summary(0.5, None, 1)) == "50.00 ± —"
    assert formatting.percent(Summary(None, None, 4)) == "—"


@pytest.mark.parametrize(
    "value,text",
    [
        (0.5, "0.50"),
        (0.0999, "0.10"),
        (0.049, "0.049"),
        (0.00096, "0.00096"),
        (0.00051, "5.1×10⁻⁴"),
        (9.99e-5, "1.0×10⁻⁴"),
        (3e-12, "3.0×10⁻¹²"),
        (None, "—"),
    ],
)
def test_p_values_have_two_digits(value, text):
    assert formatting.p_value(value) == text


def test_seconds_keep_a_decimal_only_while_it_matters():
    assert [formatting.seconds(s) for s in (0.04, 99.94, 99.96, 1234.5)] == [
        "0.0",
        "99.9",
        "100",
        "1234",
    ]
