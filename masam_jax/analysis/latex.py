"""The main table for a paper: a booktabs tabular."""

import re
from collections.abc import Callable, Sequence

from masam_jax.analysis import formatting
from masam_jax.analysis.primary_metric import is_regression
from masam_jax.analysis.rows import SIGNIFICANCE, Row, shown_cells
from masam_jax.analysis.statistics import Summary
from masam_jax.training.metric_names import title

_SPECIAL = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}
# Symbols that pdfLaTeX's text fonts lack. Accented letters are in them and stay.
_COMMANDS = {
    "α": "alpha",
    "β": "beta",
    "γ": "gamma",
    "δ": "delta",
    "ε": "varepsilon",
    "η": "eta",
    "θ": "theta",
    "κ": "kappa",
    "λ": "lambda",
    "μ": "mu",
    "µ": "mu",
    "π": "pi",
    "ρ": "rho",
    "σ": "sigma",
    "τ": "tau",
    "φ": "varphi",
    "χ": "chi",
    "ψ": "psi",
    "ω": "omega",
    "Δ": "Delta",
    "Σ": "Sigma",
    "Ω": "Omega",
    "±": "pm",
    "×": "times",
    "·": "cdot",
    "≤": "leq",
    "≥": "geq",
    "→": "to",
    "∞": "infty",
}
_SYMBOLS = {symbol: f"\\{name}" for symbol, name in _COMMANDS.items()} | {"−": "-"}
_SUPERSCRIPTS = dict(zip("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789", strict=True))
_DAGGER = r"\rlap{$^{\dagger}$}"


def to_latex(rows: Sequence[Row]) -> str:
    r"""A booktabs tabular; the best means bold, significant differences with a dagger.

    It wants ``\usepackage{booktabs}``, as a comment in it says. The p-value shown, and the one that
    decides on the dagger, is the paired t-test's after Holm's correction.

    Args:
      rows: from `tables.comparison_table`.

    Returns:
      LaTeX source, which any engine reads; empty for no rows.
    """
    if not rows:
        return ""
    best = {key: _best(rows, summary) for key, summary in _QUALITIES.items()}
    lines = shown_cells([_cells(row, best) for row in rows])
    headings = [escape(heading) for heading in lines[0]]
    return tabular(_notes(rows), headings, [list(line.values()) for line in lines])


def tabular(notes: Sequence[str], headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A booktabs tabular.

    Args:
      notes: comments above it.
      headings: of the columns, as LaTeX.
      lines: the cells, as LaTeX.
    """
    return "\n".join(
        [
            *notes,
            rf"\begin{{tabular}}{{l{'r' * (len(headings) - 1)}}}",
            r"\toprule",
            _line(headings),
            r"\midrule",
            *map(_line, lines),
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def escape(text: str) -> str:
    r"""Text that LaTeX prints as it stands: special characters escaped, symbols in math mode.

    Examples:
      >>> print(escape("MASAM ρ=12 & 50 %"))
      MASAM $\rho$=12 \& 50 \%
      >>> print(escape("2.1×10⁻⁶"))
      2.1$\times$10$^{-6}$
    """
    one_line = " ".join(text.split())
    escaped = "".join(
        f"${_SYMBOLS[c]}$" if c in _SYMBOLS else _SPECIAL.get(c, "---" if c == "—" else c)
        for c in one_line
    )
    return re.sub(
        f"[{''.join(_SUPERSCRIPTS)}]+",
        lambda run: f"$^{{{''.join(_SUPERSCRIPTS[c] for c in run[0])}}}$",
        escaped,
    )


_QUALITIES: dict[str, Callable[[Row], Summary]] = {
    "score": lambda row: row.score,
    "macro_f1": lambda row: row.macro_f1,
    "probe": lambda row: row.probe,
}


def _cells(row: Row, best: dict[str, float | None]) -> dict[str, str]:
    text = {
        key: _mean_and_std(summary(row), best[key] is not None and summary(row).mean == best[key])
        for key, summary in _QUALITIES.items()
    }
    plain = row.cells()
    dagger = _DAGGER if row.is_significant else ""
    beside = {"Macro-F1, %": text["macro_f1"]} if row.metric != "macro_f1" else {}
    if is_regression(row.metric):
        beside = {name: escape(plain[name]) for name in ("MAE", "RMSE")}
    return {
        "Method": escape(row.title),
        f"{title(row.metric)}, %": text["score"] + dagger,
        **beside,
        "Difference": escape(plain["Difference, points"]),
        "p (Holm)": escape(plain["p (Holm)"]),
        "Probe, %": text["probe"],
        "Steps/s": escape(plain["Steps/s"]),
        "FLOPs ×": escape(plain["FLOPs ×"]),
    }


def _best(rows: Sequence[Row], summary: Callable[[Row], Summary]) -> float | None:
    """The highest mean of a column; none where there is nothing to be better than."""
    means = [mean for row in rows if (mean := summary(row).mean) is not None]
    return max(means) if means and len(rows) > 1 else None


def _mean_and_std(summary: Summary, is_best: bool) -> str:
    if summary.mean is None:
        return escape(formatting.DASH)
    mean = formatting.number(summary.mean * 100)
    shown = rf"\mathbf{{{mean}}}" if is_best else mean
    return f"${shown}$" if summary.std is None else rf"${shown} \pm {summary.std * 100:.2f}$"


def _notes(rows: Sequence[Row]) -> list[str]:
    """What a caption has to say, as comments."""
    first = rows[0]
    seeds = first.score.count
    notes = [
        r"% Needs \usepackage{booktabs}.",
        f"% {escape(first.split.capitalize())} split, "
        + (f"mean and sample standard deviation over {seeds} seeds." if seeds > 1 else "one seed."),
    ]
    baseline = next((row for row in rows if row.is_baseline), None)
    if baseline is not None:
        comparisons = sum(row.p_holm is not None for row in rows)
        notes += [
            f"% Differences are to {escape(baseline.title)}, in percentage points. Bold: best.",
            f"% Dagger: p < {SIGNIFICANCE}, paired t-test, Holm's correction for {comparisons} "
            + ("comparison." if comparisons == 1 else "comparisons."),
        ]
    return notes


def _line(cells: Sequence[str]) -> str:
    line = " & ".join(cells)
    # After a row's end a bracket or a star would belong to it.
    return ("{}" if line.startswith(("[", "*")) else "") + line + r" \\"
