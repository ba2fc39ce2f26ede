"""Text of any kind within Markdown, shown as it stands."""

import re
import unicodedata

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_MARKS = frozenset("\\`*|~$")


def escape_markdown(text: str) -> str:
    r"""One line that shows the text: no markup, no HTML, no cell or line of its own.

    Examples:
      >>> print(escape_markdown("MASAM <b>|ρ| = 12</b>"))
      MASAM &lt;b&gt;\|ρ\| = 12&lt;/b&gt;
      >>> print(escape_markdown("late_fusion, _emphasis_"))
      late_fusion, \_emphasis\_
    """
    escaped = "".join(_ENTITIES.get(c, f"\\{c}" if c in _MARKS else c) for c in one_line(text))
    # Brackets are a link before a parenthesis; within a word an underscore means nothing.
    return re.sub(r"(?<!\w)_|_(?!\w)|\](?=\()", r"\\\g<0>", escaped)


def code_span(text: str) -> str:
    r"""A span of code, in a fence longer than any within it.

    Examples:
      >>> print(code_span("a`b|c"))
      ``a`b\|c``
    """
    line = one_line(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    space = " " if line[:1] == "`" or line[-1:] == "`" or not line else ""
    # The rule of tables comes before that of code.
    return f"{fence}{space}{line}{space}{fence}".replace("|", "\\|")


def one_line(text: str) -> str:
    """Text without line breaks and characters that steer what others look like."""
    spaced = " ".join(text.split())
    return "".join(c for c in spaced if unicodedata.category(c) not in ("Cc", "Cf", "Cs"))
