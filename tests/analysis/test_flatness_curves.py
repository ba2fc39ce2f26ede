"""Curves of what was measured along training."""

import json

import matplotlib
import numpy as np

from masam_jax.analysis.flatness_curves import flatness_curves
from masam_jax.analysis.records import read_directory
from tests.analysis.fake_directories import MODALITIES, write_comparison


def _measured(path):
    """A comparison with records of two quantities, every 10 steps; one seed diverged."""
    directory = write_comparison(path)
    for file in directory.glob("methods/*/metrics.jsonl"):
        lines = []
        for step in range(10, 41, 10):
            values = {m: [step + k * 1.0 for k in range(3)] + [None] for m in MODALITIES}
            record = {"step": step, "split": "geometry", "loss": [0.5] * 4, "norm": values}
            lines.append(json.dumps(record | {"trace": values}))
        with file.open("a", encoding="utf-8") as log:
            log.write("\n".join(lines) + "\n")
    return directory


def test_one_panel_for_each_encoder_and_one_for_the_loss(tmp_path):
    with matplotlib.rc_context({"text.usetex": False}):
        plots = flatness_curves(read_directory(_measured(tmp_path / "run")))
    assert [plot.name for plot in plots] == ["geometry-trace", "geometry-norm"]
    axes = plots[0].figure.axes
    titles = [ax.get_title(loc="left") for ax in axes]
    assert titles == [*(f"{m} encoder" for m in MODALITIES), "loss, measured samples"]
    line = axes[0].get_lines()[0]
    np.testing.assert_array_equal(line.get_xdata(), [10, 20, 30, 40])
    # The median of the seeds that did not diverge.
    np.testing.assert_array_equal(line.get_ydata(), [11, 21, 31, 41])
    assert "Hutchinson" in plots[0].caption


def test_nothing_where_nothing_was_measured(tmp_path):
    assert flatness_curves(read_directory(write_comparison(tmp_path / "run"))) == []
