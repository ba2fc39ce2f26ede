"""Cells of a table as numbers to sort by, so that a page's script need not read them."""

import math
import re

_PLAIN = str.maketrans("−⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "--0123456789")
_NUMBER = re.compile(r"([-+]?\d+(?:\.\d+)?)(?:×10(-?\d+))?")


def sort_key(cell: str) -> float | None:
    """The number that a cell begins with; None of one without.

    Examples:
      >>> sort_key("93.12 ± 0.58"), sort_key("−0.46"), sort_key("2.1×10⁻⁶"), sort_key("<10⁻³⁰⁰")
      (93.12, -0.46, 2.1e-06, 0.0)
      >>> sort_key("—"), sort_key("3 of them"), sort_key("baseline")
      (None, None, 0.0)
    """
    text = cell.partition(" ± ")[0].strip().translate(_PLAIN)
    # A difference to itself; what is smaller than any p-value that is written out.
    if text == "baseline" or text.startswith("<"):
        return 0.0
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    value = float(match[1]) * 10.0 ** min(int(match[2] or 0), 300)
    return float(f"{value:.12g}") if math.isfinite(value) else None
