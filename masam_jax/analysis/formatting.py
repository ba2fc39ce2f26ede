"""Numbers as a reader sees them: percent, signs, p-values, and a dash for what is undefined."""

import math

from masam_jax.analysis.statistics import Summary

DASH = "—"
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float | None, decimals: int = 2, *, signed: bool = False) -> str:
    """A number with a true minus sign; a dash for ``None``.

    Examples:
      >>> number(-0.456), number(0.5, 1, signed=True), number(None)
      ('−0.46', '+0.5', '—')
    """
    if value is None:
        return DASH
    rounded = round(value, decimals)
    sign = "−" if rounded < 0 else "+" if rounded > 0 and signed else ""
    return f"{sign}{abs(rounded):.{decimals}f}"


def mean_and_std(
    summary: Summary, decimals: int = 2, *, scale: float = 1.0, signed: bool = False
) -> str:
    """``mean ± std`` times ``scale``; ``mean ± —`` with one seed, a dash where a seed diverged.

    Examples:
      >>> mean_and_std(Summary(0.9312, 0.0058, 16), scale=100)
      '93.12 ± 0.58'
      >>> mean_and_std(Summary(0.9312, None, 1), scale=100)
      '93.12 ± —'
    """
    if summary.mean is None:
        return DASH
    std = None if summary.std is None else summary.std * scale
    return f"{number(summary.mean * scale, decimals, signed=signed)} ± {number(std, decimals)}"


def percent(summary: Summary) -> str:
    """``mean ± std`` of a fraction, in percent."""
    return mean_and_std(summary, scale=100.0)


def mean_percent(summary: Summary) -> str:
    """The mean of a fraction alone, in percent; a dash where a seed diverged."""
    return number(None if summary.mean is None else summary.mean * 100)


def interval(ends: tuple[float, float] | None) -> str:
    """An interval of a difference of fractions, in points; a dash for ``None``.

    Examples:
      >>> interval((-0.0012, 0.02)), interval(None)
      ('−0.12 to +2.00', '—')
    """
    return DASH if ends is None else " to ".join(number(end * 100, signed=True) for end in ends)


def p_value(value: float | None) -> str:
    """A p-value with two significant digits; a dash for ``None``.

    Examples:
      >>> p_value(0.043), p_value(1.0), p_value(2.13e-6), p_value(0.0)
      ('0.043', '1.00', '2.1×10⁻⁶', '<10⁻³⁰⁰')
    """
    if value is None:
        return DASH
    if value < 1e-300:
        return "<10⁻³⁰⁰"
    mantissa, exponent = f"{value:.1e}".split("e")
    if value < 0.00095:
        return f"{mantissa}×10{str(int(exponent)).translate(_SUPERSCRIPTS)}"
    return f"{value:.2f}" if value >= 0.0995 else f"{value:#.2g}"


def seconds(value: float | None) -> str:
    """Seconds with about three digits; a dash for ``None``.

    Examples:
      >>> seconds(3.456), seconds(123.4)
      ('3.5', '123')
    """
    if value is None:
        return DASH
    return f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def rate(value: float | None) -> str:
    """Something per second with three digits; a dash for ``None``.

    Examples:
      >>> rate(0.01234), rate(4.5), rate(99.96), rate(1234.5)
      ('0.0123', '4.50', '100', '1234')
    """
    if value is None:
        return DASH
    if value >= 99.95:
        return f"{value:.0f}"
    return f"{value:#.3g}" if value >= 1e-4 else scientific(value)


def scientific(value: float | None) -> str:
    """A positive number of any size with three digits; a dash for ``None``.

    Examples:
      >>> scientific(81920.0), scientific(3.2e-7)
      ('8.19×10⁴', '3.20×10⁻⁷')
    """
    if value is None:
        return DASH
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{mantissa}×10{str(int(exponent)).translate(_SUPERSCRIPTS)}"


def points(value: float) -> str:
    """A difference of fractions in percentage points, unsigned, at least one decimal.

    Examples:
      >>> points(-0.00812), points(0.01)
      ('0.81', '1.00')
    """
    return number(abs(value) * 100)


def in_units(summary: Summary) -> str:
    """``mean ± std`` of something that has a unit, the mean with four digits.

    Examples:
      >>> in_units(Summary(12.345, 0.678, 8)), in_units(Summary(0.01234, None, 1))
      ('12.35 ± 0.68', '0.01234 ± —')
    """
    if summary.mean is None or summary.mean <= 0:
        return mean_and_std(summary)
    return mean_and_std(summary, min(12, max(0, 3 - math.floor(math.log10(summary.mean)))))
