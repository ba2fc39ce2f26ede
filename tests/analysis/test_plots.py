import json

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import imread

from masam_jax.analysis.plots import make_plots, save_plots
from masam_jax.analysis.records import read_directory
from masam_jax.analysis.style import modality_styles, wrapped
from tests.analysis.fake_directories import (
    METHODS,
    ZOO,
    fake_metrics,
    fake_result,
    write_comparison,
    write_run,
)

EVERY = [
    "final-test-accuracy",
    "paired-differences",
    "critical-difference",
    "validation-accuracy",
    "training-loss",
    "unimodal-accuracy",
    "dominant-share",
    "modalities-masam-rho-12",
]
COMPARING = ("paired-differences", "critical-difference")


def _names(path):
    return [plot.name for plot in make_plots(read_directory(path))]


def _plot(path, name):
    return next(p for p in make_plots(read_directory(path)) if p.name == name)


def test_comparison_gives_every_plot_as_png(tmp_path):
    directory = write_comparison(tmp_path / "comparison")
    paths = save_plots(directory)
    assert [path.stem for path in paths] == EVERY
    for path in paths:
        assert path.parent == directory / "plots"
        image = imread(path)
        assert image.shape[1] == 990, "6.6 inches at 150 dpi"
        assert np.ptp(image[..., :3]) > 0.5, "the image is blank"


def test_drawing_leaves_pyplot_alone(tmp_path):
    import sys

    before = dict(matplotlib.rcParams)
    had_pyplot = "matplotlib.pyplot" in sys.modules
    save_plots(write_comparison(tmp_path / "comparison", seeds=2))
    assert dict(matplotlib.rcParams) == before
    assert ("matplotlib.pyplot" in sys.modules) == had_pyplot


def test_same_records_give_the_same_bytes(tmp_path):
    first = save_plots(write_comparison(tmp_path / "a", seeds=2))
    second = save_plots(write_comparison(tmp_path / "b", seeds=2))
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_methods_without_masam_state_have_no_dynamics(tmp_path):
    names = _names(write_comparison(tmp_path / "comparison", methods=METHODS[:2]))
    assert names == [
        name
        for name in EVERY[:6]
        if name != "critical-difference"  # two methods
    ]


def test_single_run_has_its_own_plots(tmp_path):
    result = fake_result("masam:rho=12", "MASAM ρ=12", [0.9, 0.91, 0.93])
    path = write_run(tmp_path / "run", result, fake_metrics(result, traced=True))
    assert _names(path) == [name for name in EVERY if name not in COMPARING]


def test_one_seed_is_drawn_without_bands(tmp_path):
    directory = write_comparison(tmp_path / "comparison", seeds=1)
    assert _names(directory) == [name for name in EVERY if name not in COMPARING]
    plot = _plot(directory, "validation-accuracy")
    assert all(not ax.collections for ax in plot.figure.axes)
    assert plot.caption.endswith("One seed.")
    save_plots(directory)


def test_band_is_mean_plus_and_minus_standard_deviation(tmp_path):
    directory = write_comparison(tmp_path / "comparison", seeds=4)
    method = read_directory(directory).methods[1]
    curve = method.curve("validation", "accuracy")
    ax = _plot(directory, "validation-accuracy").figure.axes[0]
    mean, std = 100 * curve.values.mean(axis=1), 100 * curve.values.std(axis=1, ddof=1)
    line, band = ax.lines[-1], ax.collections[-1]
    np.testing.assert_allclose(line.get_ydata(), mean)
    corners = band.get_paths()[0].vertices
    for step, low, high in zip(curve.steps, mean - std, mean + std, strict=True):
        at_step = corners[corners[:, 0] == step][:, 1]
        assert at_step.min() == pytest.approx(low)
        assert at_step.max() == pytest.approx(high)


def test_each_panel_repeats_the_baseline(tmp_path):
    figure = _plot(write_comparison(tmp_path / "comparison"), "validation-accuracy").figure
    first, second = (np.array(ax.lines[0].get_ydata()) for ax in figure.axes)
    np.testing.assert_array_equal(first, second)
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["SAM ρ=0.5", "MASAM ρ=12"]


def test_shares_fill_the_bar(tmp_path):
    figure = _plot(write_comparison(tmp_path / "comparison"), "dominant-share").figure
    widths = [bar.get_width() for bar in figure.axes[0].patches]
    assert len(widths) == 4
    assert sum(widths) == pytest.approx(100, abs=1)
    np.testing.assert_allclose(widths[:3], [100 / 6, 200 / 6, 300 / 6], atol=1)


def test_unfinished_last_line_and_diverged_seeds_are_drawn(tmp_path):
    result = fake_result("masam", "MASAM $x_1$ <b>", [0.9, 0.91])
    result["test"]["accuracy"] = [0.9, None]
    metrics = fake_metrics(result | {"test": {"accuracy": [0.9, 0.9]}}, traced=True)
    for record in metrics[6:]:
        for key in ("accuracy", "fusion_loss"):
            record[key] = [record[key][0], None]
    metrics[-1]["accuracy"] = [None, None]
    path = write_run(tmp_path / "run", result, metrics)
    with (path / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(metrics[0])[:25])
    assert len(save_plots(path)) == 6


def test_corrupt_metrics_are_an_error(tmp_path):
    directory = write_comparison(tmp_path / "comparison")
    path = directory / "methods" / "late-fusion" / "metrics.jsonl"
    path.write_text("{\n" + path.read_text())
    with pytest.raises(ValueError, match=r"late-fusion.metrics\.jsonl, line 1"):
        save_plots(directory)


def test_a_run_without_metrics_still_shows_its_result(tmp_path):
    path = write_run(tmp_path / "run", fake_result("sam", "SAM", [0.9, 0.8]), [])
    assert _names(path) == ["final-test-accuracy"]


def test_panels_of_a_whole_zoo_stand_apart(tmp_path):
    directory = write_comparison(tmp_path / "comparison", seeds=2, methods=ZOO, steps=3000)
    for name in ("validation-accuracy", "unimodal-accuracy"):
        figure = _plot(directory, name).figure
        assert len(figure.axes) == len(ZOO) - (name == "validation-accuracy")
        assert len({round(ax.get_position().x0, 2) for ax in figure.axes}) == 3
        renderer = FigureCanvasAgg(figure).get_renderer()
        figure.draw(renderer)
        boxes = []
        for ax in figure.axes:
            boxes.append(ax.get_tightbbox(renderer))
            title = next(t for t in ax.get_children() if getattr(t, "get_text", str)() != "")
            assert title.get_window_extent(renderer).x1 <= figure.bbox.x1
        for i, one in enumerate(boxes):
            assert not any(one.overlaps(other) for other in boxes[:i]), figure.axes[i].get_title()


def test_names_break_at_underscores_and_lose_nothing():
    name = "MASAM ρ=12, scale_by_alignment=false"
    assert wrapped(name, 22) == "MASAM ρ=12, scale_by_\nalignment=false"
    assert wrapped("MASAM", 22) == "MASAM"


@pytest.mark.parametrize("count", [1, 6, 7, 20])
def test_modalities_look_different(count):
    styles = modality_styles([f"m{i}" for i in range(count)])
    assert len(set(styles.values())) == count
