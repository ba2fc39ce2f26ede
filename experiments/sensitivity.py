"""What the choice of ρ, α and β costs: each varied by itself around MASAM's setting for the data.

    masam experiment sensitivity --datasets mfeat

ρ goes from a sixteenth of the setting to four times it; `experiments.radii` has the settings.
"""

from collections.abc import Sequence

import numpy as np

from experiments.alone import run_alone
from experiments.curves import curves_plot
from experiments.paper import Findings, FinishedRun, PaperExperiment, PlannedRun, Scale
from experiments.radii import masam_of
from experiments.verdict import BASELINE, verdict
from masam_jax.analysis.result_table import ResultTable, summary_cell, text_cell, with_best
from masam_jax.analysis.style import Plot
from masam_jax.api.method_list import bind_method
from masam_jax.config.published import settings_of
from masam_jax.core.specs import cut_specification

_SETTING = "MASAM"
_FACTORS = (1 / 16, 1 / 4, 1 / 2, 2.0, 4.0)
_VALUES = {"alpha": (0.0, 0.5, 0.8, 1.0), "beta": (0.5, 0.91, 0.99)}
_SIGNS = {"rho": "ρ", "alpha": "α", "beta": "β"}


def plan(dataset: str, scale: Scale) -> list[PlannedRun]:
    """All settings in one comparison."""
    setting = masam_of(dataset)
    methods = {BASELINE: "late_fusion", _SETTING: setting}
    for option, values in _others(dataset, scale).items():
        methods |= {_name(option, value): _with(setting, option, value) for value in values}
    return [PlannedRun(dataset, "sensitivity", methods, scale.options(dataset))]


def conclude(runs: Sequence[FinishedRun], scale: Scale) -> Findings:
    """A table for each data set, and a plot for each of its options."""
    remarks = tuple(
        verdict({n: run.scores(n) for n in run.planned.methods}, "score", run.planned.dataset)
        for run in runs
    )
    plots = tuple(
        _plot(run, option, others)
        for run in runs
        for option, others in _others(run.planned.dataset, scale).items()
    )
    return Findings(remarks, tuple(map(_table, runs)), plots)


def _setting(dataset: str) -> dict[str, float]:
    """Option -> its value in MASAM's setting for the data."""
    published = settings_of(dataset)
    options = bind_method(masam_of(dataset), published.methods if published else None).options
    return {option: getattr(options, option) for option in _SIGNS}


def _others(dataset: str, scale: Scale) -> dict[str, tuple[float, ...]]:
    """Option -> the values beside that of the setting."""
    own = _setting(dataset)
    factors = _FACTORS[::4] if scale.quick else _FACTORS
    others = {"rho": tuple(float(f"{own['rho'] * factor:.3g}") for factor in factors)}
    if not scale.quick:
        others |= {o: tuple(v for v in each if v != own[o]) for o, each in _VALUES.items()}
    return others


def _name(option: str, value: float) -> str:
    return f"{_SIGNS[option]} = {value:g}"


def _with(spec: str, option: str, value: float) -> str:
    """A specification with another value of an option."""
    name, text = cut_specification(spec)
    rest = [item for item in (text or "").split(",") if item and not item.startswith(f"{option}=")]
    return f"{name}:{','.join([f'{option}={value:g}', *rest])}"


def _table(run: FinishedRun) -> ResultTable:
    rows = [
        (text_cell(name), text_cell(spec), summary_cell(run.summary(name), scale=100))
        for name, spec in run.planned.methods.items()
    ]
    return ResultTable(
        f"sensitivity-{run.planned.slug}",
        f"Sensitivity on {run.planned.dataset}",
        ("Setting", "Specification", "Score, %"),
        with_best(rows, 2),
        "Test score in percent, mean ± standard deviation over seeds; MASAM is the setting that one"
        " option at a time departs from. The best of many rows, picked on the data that it is"
        " reported on, is optimistic.",
    )


def _plot(run: FinishedRun, option: str, others: Sequence[float]) -> Plot:
    own = _setting(run.planned.dataset)[option]
    values = sorted({*others, own})
    lines = [run.scores(_SETTING if v == own else _name(option, v)) for v in values]
    late = [run.scores(BASELINE)] * len(values)
    # ρ is varied by factors; the others lie where they are.
    positions = np.log2(np.array(values) / own) if option == "rho" else np.array(values)
    return curves_plot(
        f"{option}-{run.planned.slug}",
        f"Test score over {_SIGNS[option]}, {run.planned.dataset}",
        {run.planned.dataset: {_SETTING: _scores(lines), BASELINE: _scores(late)}},
        positions.tolist(),
        axis=_SIGNS[option],
        ticks={float(p): f"{v:g}" for p, v in zip(positions, values, strict=True)},
        caption=f"Test score in the data set's own metric; the setting is {own:g}.",
    )


def _scores(rows: Sequence[Sequence[float | None]]) -> np.ndarray:
    return np.array(rows, np.float64)


EXPERIMENT = PaperExperiment(
    "sensitivity", "What does another ρ, α or β than the setting's cost?", plan, conclude
)

if __name__ == "__main__":
    run_alone(EXPERIMENT)
