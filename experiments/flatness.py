"""The paper's picture: does late fusion drag the strong encoder into a sharp region, MASAM not?

    masam experiment flatness --datasets mfeat

Of each encoder after training: the trace of the Hessian's block, relative flatness (trace × ‖θ_m‖²)
and sharpness in SAM's sense (how much the loss rises at 5 % of the encoder's norm along its
gradient), with the loss and the norm beside them. A trace falls where weights shrink, which
relative flatness makes up for, and where the loss saturates, which it does not: so trace ÷ loss is
shown too, and the same is measured on test samples, whose loss does not go to nothing.

Late fusion and MASAM are compared by the fusion loss, on training and on test samples; and with the
encoder trained alone by each encoder's own loss.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import jax
import numpy as np

from experiments.alone import run_alone
from experiments.flatness_plot import flatness_plot
from experiments.paper import Findings, FinishedRun, PaperExperiment, Scale
from experiments.saved import measured, opened
from experiments.unimodal import ALONE, FUSION, plan
from experiments.verdict import BASELINE
from masam_jax.analysis import paired_test, summarize
from masam_jax.analysis.result_table import Cell, ResultTable, text_cell

# Needs an extra, which the list of experiments does without.
if TYPE_CHECKING:
    from masam_jax.geometry.of_runs import RunLosses

_RADIUS = 0.05
_ERROR = 0.1  # Relative standard error of a trace; seeds differ by more.
_MASAM = "MASAM"
QUANTITIES = {"trace": "trace", "relative": "relative flatness", "sharpness": "sharpness"}
_PER_LOSS = "trace ÷ loss"
_COLUMNS = (*QUANTITIES, _PER_LOSS, "norm", "loss")
_TEST_SAMPLES = 400


class _Measured(NamedTuple):
    """A loss that is measured.

    Attributes:
      words: what it is.
      split: the samples.
      reference: the method that others are divided by.
      left_out: the method that does not train a head of it.
    """

    words: str
    split: Literal["train", "test"]
    reference: str
    left_out: str


_LOSSES = {
    "fusion": _Measured("fusion loss", "train", BASELINE, ALONE),
    "test": _Measured("fusion loss of test samples", "test", BASELINE, ALONE),
    "own": _Measured("own loss", "train", ALONE, FUSION),
}

OfMethod = dict[str, dict[str, list[float]]]
"""Quantity, "norm" or "loss" -> modality -> a number for each seed."""


def conclude(runs: Sequence[FinishedRun], scale: Scale) -> Findings:
    """Tables of ratios and of values, a picture for each data set, and an answer."""
    tables, plots, remarks = [], [], []
    for run in runs:
        strong = strongest(run)
        for which, asked in _LOSSES.items():
            found = _measured(run, which)
            tables += [_ratios(run, which, found), _values(run, which, found)]
            if asked.reference == BASELINE:
                plots.append(flatness_plot(run, found, QUANTITIES, strong, which, asked.words))
                remarks.append(_answer(run, asked, found, strong))
    return Findings(tuple(remarks), tuple(tables), tuple(plots))


def strongest(run: FinishedRun) -> str:
    """The modality whose encoder, trained alone, is best."""
    probes = run.method(ALONE).result[run.record.split]
    (key,) = (name for name in probes if name.startswith("probe_"))
    means = {m: summarize(values).mean or 0.0 for m, values in probes[key].items()}
    return max(means, key=means.__getitem__)


def _measured(run: FinishedRun, which: str) -> dict[str, OfMethod]:
    """Method -> what was measured of it."""
    found: dict[str, OfMethod] = {
        name: measured(
            run,
            f"flatness-{which}-{run.method(name).result['slug']}",
            lambda name=name: _measure(run, name, which),  # type: ignore[misc]
        )
        for name in run.planned.methods
        if name != _LOSSES[which].left_out
    }
    for of in found.values():
        of[_PER_LOSS] = {m: _quotients(of["trace"][m], of["loss"][m]) for m in of["trace"]}
    return found


def _quotients(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """NaN where a loss has become 0."""
    return [a / b if b else math.nan for a, b in zip(above, below, strict=True)]


def _measure(run: FinishedRun, name: str, which: str) -> OfMethod:
    from masam_jax.geometry import hessian_trace, sharpness
    from masam_jax.geometry.of_runs import open_losses

    asked = _LOSSES[which]
    spec = str(run.method(name).result["spec"])
    of_run = open_losses(run.record.path, spec, split=asked.split, samples=_samples(run, asked))
    loss = _sum_of_own(of_run) if which == "own" else of_run.loss("fusion")
    found: OfMethod = {q: {m: [] for m in of_run.modalities} for q in (*QUANTITIES, "norm", "loss")}
    for seed in of_run.seeds:
        params, batches = of_run.of_seed(seed)
        rest: dict[str, Any] = {"labels": of_run.labels}
        traces = hessian_trace(
            loss, params, batches, key=jax.random.key(seed), relative_error=_ERROR, **rest
        )
        rises = sharpness(loss, params, batches, rho=_RADIUS, radius="relative", **rest)
        for m in of_run.modalities:
            trace, norm = traces[m].mean, traces[m].norm
            values = (trace, trace * norm**2, rises[m].one_step, norm, traces[m].loss)
            for quantity, value in zip(found, values, strict=True):
                found[quantity][m].append(value)
    return found


def _samples(run: FinishedRun, asked: _Measured) -> int | None:
    """How many samples are enough; None for all."""
    if asked.split == "train":
        return None
    there = opened(run).indices("test").shape[1]
    return min(there, _TEST_SAMPLES)


def _sum_of_own(opened: RunLosses) -> Callable[[Any, Any], jax.Array]:
    """Σ_m L_m, whose Hessian's block of an encoder is that of its own loss."""
    losses = [opened.loss(m) for m in opened.modalities]

    def own(params: Any, batch: Any) -> jax.Array:
        values = [loss(params, batch) for loss in losses]
        return sum(values[1:], values[0])

    return own


def ratio(above: Sequence[float], below: Sequence[float]) -> tuple[float, float, float] | None:
    """Geometric mean over seeds of a quantity's ratio, with Student's 95 % interval of its log.

    Args:
      above: a number for each seed.
      below: likewise, of the same seeds.

    Returns:
      The ratio and both ends; None where a number is not above 0, or there is one seed.
    """
    values = np.array([above, below], np.float64)
    if not (np.isfinite(values) & (values > 0)).all():
        return None
    test = paired_test(*np.log(values).tolist())
    ends = test.interval()
    if test.mean_difference is None or ends is None:
        return None
    mean, low, high = np.exp([test.mean_difference, *ends]).tolist()
    return mean, low, high


def _ratios(run: FinishedRun, which: str, found: Mapping[str, OfMethod]) -> ResultTable:
    asked = _LOSSES[which]
    reference = found[asked.reference]
    rows = [
        (
            text_cell(m),
            text_cell(name),
            *(ratio_cell(of[q][m], reference[q][m]) for q in _COLUMNS),
        )
        for m in run.record.results["modalities"]
        for name, of in found.items()
        if name != asked.reference
    ]
    return ResultTable(
        f"ratios-{which}-{run.planned.slug}",
        f"{asked.words.capitalize()}, × {asked.reference}, on {run.planned.dataset}",
        ("Modality", "Method", *(f"{_words(q)} ×" for q in _COLUMNS)),
        tuple(rows),
        "Geometric means over seeds, with Student's 95 % intervals of the logarithms, seed by seed;"
        f" not corrected for the number of rows. Below 1 is flatter than {asked.reference}; a dash"
        " where a number is 0 to float32's last digit on some seed."
        + (" The loss is the sum of all modalities'." if which == "own" else ""),
    )


def _words(quantity: str) -> str:
    return QUANTITIES.get(quantity, quantity).capitalize()


def ratio_cell(above: Sequence[float], below: Sequence[float]) -> Cell:
    """What `ratio` finds, in a table; a dash for None."""
    found = ratio(above, below)
    if found is None:
        return Cell("—", {"ratio": None, "low": None, "high": None})
    mean, low, high = found
    return Cell(f"{mean:.3g} [{low:.3g}, {high:.3g}]", {"ratio": mean, "low": low, "high": high})


def _values(run: FinishedRun, which: str, found: Mapping[str, OfMethod]) -> ResultTable:
    words = _LOSSES[which].words
    rows = [
        (text_cell(m), text_cell(name), *(_value_cell(of[q][m]) for q in _COLUMNS))
        for m in run.record.results["modalities"]
        for name, of in found.items()
    ]
    return ResultTable(
        f"values-{which}-{run.planned.slug}",
        f"{words.capitalize()}, on {run.planned.dataset}",
        ("Modality", "Method", *map(_words, _COLUMNS)),
        tuple(rows),
        "Mean ± standard deviation over seeds. Trace: of the Hessian by the encoder's parameters."
        " Relative flatness: trace × norm². Sharpness: how much the loss rises at"
        f" {100 * _RADIUS:.0f} % of the encoder's norm along its gradient.",
    )


def _value_cell(values: Sequence[float]) -> Cell:
    summary = summarize(values)
    if summary.mean is None:
        return Cell("—", {"mean": None, "std": None})
    spread = "" if summary.std is None else f" ± {summary.std:.2g}"
    return Cell(f"{summary.mean:.3g}{spread}", {"mean": summary.mean, "std": summary.std})


def _answer(run: FinishedRun, asked: _Measured, found: Mapping[str, OfMethod], strong: str) -> str:
    """What MASAM does to the strong encoder, against late fusion, in numbers."""
    parts = []
    for quantity in (*QUANTITIES, _PER_LOSS, "loss"):
        each = ratio(found[_MASAM][quantity][strong], found[BASELINE][quantity][strong])
        shown = "undefined" if each is None else f"{each[0]:.2f} ({each[1]:.2f} to {each[2]:.2f})"
        parts.append(f"{QUANTITIES.get(quantity, quantity)} {shown}")
    return (
        f"On {run.planned.dataset} the strong encoder is {strong}'s. Trained by MASAM, against late"
        f" fusion, of the {asked.words}, × with 95 % intervals over seeds: {', '.join(parts)}."
    )


EXPERIMENT = PaperExperiment(
    "flatness", "Does late fusion sharpen the strong encoder, and MASAM not?", plan, conclude
)

if __name__ == "__main__":
    run_alone(EXPERIMENT)
