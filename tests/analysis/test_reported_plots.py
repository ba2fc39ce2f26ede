"""Plots of what methods reported, and of norms of gradients."""

import json

import numpy as np
import pytest

from masam_jax.analysis.plots import make_plots
from masam_jax.analysis.records import read_directory
from tests.analysis.fake_directories import MODALITIES, ZOO, write_comparison

# The first of each name.
ZOO_BY_NAME = {method[0].partition(":")[0]: method for method in reversed(ZOO)}


def _plots(tmp_path, method, **logged):
    """All plots of a comparison of late fusion and a method that logged this as well, by name."""
    methods = [ZOO[0], ZOO_BY_NAME[method]]
    directory = write_comparison(tmp_path / "comparison", methods=methods, seeds=2)
    (path,) = directory.glob(f"methods/{method.replace('_', '-')}*/metrics.jsonl")
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for record in records:
        if record["split"] == "train":
            record |= logged
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return {plot.name: plot for plot in make_plots(read_directory(directory))}


def _by_modality(*values):
    return {m: [value, value] for m, value in zip(MODALITIES, values, strict=True)}


def test_factors_have_a_panel_in_words(tmp_path):
    plot = _plots(tmp_path, "ogm_ge", gradient_factor=_by_modality(0.4, 1.0, 0.9))[
        "reported-ogm-ge-alpha-0-3"
    ]
    (ax,) = plot.figure.axes
    words = ax.get_title(loc="left").replace("\n", " ")
    assert words == "k, what the encoder's gradient is multiplied with"
    assert sorted(line.get_ydata()[-1] for line in ax.lines) == [0.4, 0.9, 1.0]
    assert ax.get_ylim()[0] == 0
    assert plot.folded
    assert "OGM-GE α=0.3: what each step was made with" in plot.caption
    assert "logarithmic" not in plot.caption


def test_the_weight_of_the_fusion_loss_is_drawn_dark(tmp_path):
    weights = {"fusion": [0.5, 0.7]} | _by_modality(0.1, 0.1, 0.1)
    plot = _plots(tmp_path, "g_blend", loss_weight=weights)["reported-g-blend"]
    (legend,) = plot.figure.legends
    assert [t.get_text() for t in legend.get_texts()] == ["fusion", *MODALITIES]
    assert plot.figure.axes[0].lines[0].get_ydata()[-1] == pytest.approx(0.6)


def test_norms_of_any_method_have_logarithmic_panels(tmp_path):
    norms = {f"{kind}_gradient_norm": _by_modality(1, 10, 1e-6) for kind in ("fusion", "unimodal")}
    plot = _plots(tmp_path, "sam", **norms)["reported-sam-rho-0-5"]
    assert [ax.get_yscale() for ax in plot.figure.axes] == ["log", "log"]
    assert "On logarithmic axes lines are medians." in plot.caption


def test_norms_that_are_all_zero_have_no_panel(tmp_path):
    plots = _plots(tmp_path, "sam", fusion_gradient_norm=_by_modality(0, 0, 0))
    assert not any(name.startswith("reported") for name in plots)


def test_a_method_that_chooses_without_scores_has_shares_and_its_own_panel(tmp_path):
    plots = _plots(
        tmp_path,
        "m_sam",
        dominant_share=_by_modality(0.5, 0.25, 0.25),
        shapley_value=_by_modality(1.0, -0.5, 0.2),
    )
    assert not any(name.startswith("modalities") for name in plots)
    assert len(plots["dominant-share"].figure.axes[0].patches) == 4
    (ax,) = plots["reported-m-sam-rho-0-3"].figure.axes
    assert ax.get_ylim()[0] < -0.5


def test_the_counts_of_masam_are_in_words(tmp_path):
    norms = {f"{kind}_gradient_norm": _by_modality(1, 10, 2) for kind in ("fusion", "unimodal")}
    plot = _plots(
        tmp_path, "masam", argmax_agreement=[0.7, 0.8], switching_rate=[None, 0.25], **norms
    )["modalities-masam-rho-12"]
    assert "Of all steps, on 75 % the largest score was that of the largest γ and on 25 %" in (
        plot.caption
    )
    assert len(plot.figure.axes) == 6
    assert np.all([ax.get_title(loc="left") for ax in plot.figure.axes])
