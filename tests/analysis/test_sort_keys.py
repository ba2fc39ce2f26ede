import pytest

from masam_jax.analysis import formatting
from masam_jax.analysis.sort_keys import sort_key
from masam_jax.analysis.statistics import Summary


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("93.12 ± 0.58", 93.12),
        ("93.12 ± —", 93.12),
        ("−0.46", -0.46),
        ("+1.84", 1.84),
        ("7.0×10⁻⁴", 7.0e-4),
        ("2.50×10⁷", 2.5e7),
        ("<10⁻³⁰⁰", 0.0),
        ("128", 128.0),
        ("baseline", 0.0),
        ("—", None),
        ("", None),
        ("12 monkeys", None),
        ("nan", None),
        ("1e5", None),
        ("9" * 400, None),
        ("1×10⁹⁹⁹", 1e300),
    ],
)
def test_numbers_to_sort_by(cell, number):
    assert sort_key(cell) == (number if number is None else pytest.approx(number, rel=1e-9))


@pytest.mark.parametrize("value", [0.0, 1.0, 0.999, 0.0949, 9.4e-4, 2.13e-6, 1e-250, 1e-305])
def test_p_values_keep_their_order(value):
    bigger = sort_key(formatting.p_value(min(1.0, value * 10)))
    assert sort_key(formatting.p_value(value)) <= bigger


def test_what_tables_hold_is_understood():
    assert sort_key(formatting.percent(Summary(0.9312, 0.0058, 16))) == pytest.approx(93.12)
    assert sort_key(formatting.scientific(81920.0)) == pytest.approx(8.19e4)
    assert sort_key(formatting.number(-0.456, signed=True)) == pytest.approx(-0.46)
