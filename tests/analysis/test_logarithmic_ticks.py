"""Ticks of logarithmic axes: few and round, however few decades they span."""

import pytest
from matplotlib.figure import Figure

from masam_jax.analysis.style import few_log_ticks


@pytest.mark.parametrize(
    "values, ticks",
    [
        ((1e-6, 1e3), ["1e-06", "0.01", "100"]),
        ((0.9, 1100), ["1", "100"]),
        ((0.25, 6), ["0.3", "1", "3"]),
        ((0.4, 0.55), ["0.5"]),
    ],
)
def test_a_logarithmic_axis_has_up_to_three_round_ticks(values, ticks):
    figure = Figure()
    ax = figure.subplots()
    ax.plot([0, 1], values)
    ax.set_yscale("log")
    few_log_ticks(ax.yaxis)
    figure.canvas.draw()
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ticks
    assert not ax.yaxis.get_minorticklocs().size
    assert ax.get_ylim()[0] <= min(values)
    assert ax.get_ylim()[1] >= max(values)
