import json

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import imread

from masam_jax.analysis.palette import BASELINE
from masam_jax.analysis.plots import make_plots, save_plots
from masam_jax.analysis.records import read_directory
from masam_jax.analysis.style import line_styles, wrapped
from tests.analysis.fake_directories import (
    METHODS,
    MODALITIES,
    ZOO,
    fake_metrics,
    fake_result,
    write_comparison,
    write_json,
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
    assert "One seed." in plot.caption
    save_plots(directory)


def test_the_line_is_the_mean_and_the_band_holds_the_middle_of_the_seeds(tmp_path):
    directory = write_comparison(tmp_path / "comparison", seeds=16)
    curve = read_directory(directory).methods[1].curve("validation", "accuracy")
    ax = _plot(directory, "validation-accuracy").figure.axes[0]
    line, band = ax.lines[1], ax.collections[1]
    np.testing.assert_allclose(line.get_ydata(), 100 * curve.values.mean(axis=1))
    low, high = np.quantile(100 * curve.values, (0.1, 0.9), axis=1)
    for step, bottom, top in zip(curve.steps, low, high, strict=True):
        assert _at(band, step) == pytest.approx((bottom, top))


def _at(band, step):
    corners = band.get_paths()[0].vertices
    found = corners[corners[:, 0] == step][:, 1]
    return found.min(), found.max()


def _uneven(directory):
    """Gives training quantities that are 0 for most seeds, and large for a few."""
    rng = np.random.default_rng(0)

    def drawn(seeds):
        return (rng.lognormal(-5, 4, seeds) * (rng.random(seeds) < 0.4)).tolist()

    for path in sorted(directory.glob("methods/*/metrics.jsonl")):
        records = [json.loads(line) for line in path.read_text().splitlines()]
        for record in records:
            if record["split"] == "train":
                seeds = len(record["fusion_loss"])
                record["fusion_loss"] = drawn(seeds)
                if "decay" in record:
                    record["decay"] = {m: drawn(seeds) for m in MODALITIES}
        path.write_text("".join(json.dumps(record) + "\n" for record in records))


@pytest.mark.parametrize("seeds", [4, 16])
def test_no_band_leaves_the_data_or_is_filled_to_the_floor(tmp_path, seeds):
    directory = write_comparison(tmp_path / "comparison", seeds=seeds)
    _uneven(directory)
    values = []
    for method in read_directory(directory).methods:
        values.append(method.curve("train", "fusion_loss").values)
    least = min(v[v > 0].min() for v in values)
    ax = _plot(directory, "training-loss").figure.axes[0]
    assert ax.get_yscale() == "log"
    for band in ax.collections:
        for path in band.get_paths():
            assert path.vertices[:, 1].min() >= least
            assert path.vertices[:, 1].min() > ax.get_ylim()[0]
    for ax in _plot(directory, "modalities-masam-rho-12").figure.axes:
        if "Decay" in ax.get_title(loc="left"):
            lowest = min(p.vertices[:, 1].min() for c in ax.collections for p in c.get_paths())
            assert lowest >= 0
            assert ax.get_ylim()[0] == 0
            break
    else:
        pytest.fail("no panel of Decay")
    caption = _plot(directory, "training-loss").caption
    assert "A loss of exactly 0" in caption


def test_all_methods_share_one_plot_and_are_named_beside_it(tmp_path):
    directory = write_comparison(tmp_path / "comparison")
    for name in ("validation-accuracy", "training-loss"):
        curves, names = _plot(directory, name).figure.axes
        assert [t.get_text() for t in names.texts] == [m[1] for m in METHODS]
        colours = [line.get_color() for line in curves.lines if len(line.get_xdata()) > 2]
        assert len(set(colours[:3])) == 3
        assert colours[0] == BASELINE
    caption = _plot(directory, "validation-accuracy").caption
    assert "Bands: from the lowest seed to the highest." in caption
    assert caption.endswith("Grey: the baseline, Late fusion.")


def test_of_many_methods_only_two_have_bands(tmp_path):
    directory = write_comparison(tmp_path / "comparison", seeds=12, methods=ZOO)
    plot = _plot(directory, "validation-accuracy")
    assert len(plot.figure.axes[0].collections) == 2
    best = max(ZOO, key=lambda method: method[2])[1]
    assert f"of the baseline, Late fusion and {best} (highest test score) alone." in plot.caption


def test_heads_are_compared_with_the_baseline_on_one_axis(tmp_path):
    directory = write_comparison(tmp_path / "comparison", seeds=4)
    results = json.loads((directory / "results.json").read_text())
    # Untrained heads: near chance, far outside the axis.
    results["methods"][1]["test"]["unimodal_accuracy"]["zer"] = [0.1] * 4
    write_json(directory / "results.json", results)
    plot = _plot(directory, "unimodal-accuracy")
    axes = plot.figure.axes
    baseline, _, masam = (m["test"] for m in results["methods"])
    # The fused prediction, then the modalities by the baseline's score.
    assert [ax.get_title().split("\n")[0] for ax in axes] == ["fused", "fou", "pix", "zer"]
    assert len({ax.get_xlim() for ax in axes}) == 1
    assert axes[0].get_xlim()[1] < 10
    for ax, name in zip(axes[1:], ["fou", "pix", "zer"], strict=True):
        ours, theirs = (np.array(m["unimodal_accuracy"][name]) for m in (masam, baseline))
        assert ax.lines[-1].get_xdata()[0] == pytest.approx(100 * (ours - theirs).mean())
    assert [text.get_text() for text in axes[3].texts] == ["−53"]
    assert "A triangle points to a difference outside the axis" in plot.caption


def test_grey_bars_are_explained(tmp_path):
    methods = [METHODS[0], ("masam:rho=6,select=all", "MASAM ρ=6, select=all", 0.93, True)]
    directory = write_comparison(tmp_path / "comparison", methods=methods, seeds=2)
    (path,) = directory.glob("methods/masam*/metrics.jsonl")
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for record in records:
        if "dominant_share" in record:
            record["dominant_share"] = {m: [0.0, 0.0] for m in record["dominant_share"]}
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    plot = _plot(directory, "dominant-share")
    assert "all encoders, every step" in [t.get_text() for t in plot.figure.axes[0].texts]
    assert "A grey bar across: the method has select=all, which perturbs every" in plot.caption
    traces = next(p for p in make_plots(read_directory(directory)) if "modalities" in p.name)
    assert len(traces.figure.axes) == 3, "no panel of shares that are all 0"
    assert "select=all perturbs every encoder" in traces.caption


def test_traces_of_one_method_are_open_and_the_others_folded(tmp_path):
    directory = write_comparison(tmp_path / "comparison", methods=ZOO, seeds=2)
    plots = [p for p in make_plots(read_directory(directory)) if p.name.startswith("modalities")]
    assert [plot.folded for plot in plots] == [False, True, True, True]
    assert plots[0].title == "Modality dynamics: MASAM ρ=12"


def test_every_mark_has_words(tmp_path):
    for plot in make_plots(read_directory(write_comparison(tmp_path / "comparison", seeds=12))):
        drawn = " ".join(t.get_text() for ax in plot.figure.axes for t in ax.texts)
        bands = any(ax.collections for ax in plot.figure.axes)
        assert len(plot.caption) > 80, plot.name
        if bands and plot.name not in ("final-test-accuracy", "paired-differences"):
            assert "10 to 90 % quantiles" in plot.caption, plot.name
        assert "nan" not in drawn


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


def test_a_damaged_line_of_metrics_is_left_out_and_reported(tmp_path):
    directory = write_comparison(tmp_path / "comparison")
    path = directory / "methods" / "late-fusion" / "metrics.jsonl"
    path.write_text("{\n" + path.read_text())
    with pytest.warns(UserWarning, match=r"late-fusion.metrics\.jsonl, line 1 is left out"):
        assert _names(directory) == EVERY


def test_a_run_without_metrics_still_shows_its_result(tmp_path):
    path = write_run(tmp_path / "run", fake_result("sam", "SAM", [0.9, 0.8]), [])
    assert _names(path) == ["final-test-accuracy"]


@pytest.mark.parametrize("name", ["validation-accuracy", "training-loss", "unimodal-accuracy"])
def test_names_of_a_whole_zoo_stand_apart(tmp_path, name):
    directory = write_comparison(tmp_path / "comparison", seeds=2, methods=ZOO, steps=3000)
    figure = _plot(directory, name).figure
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    margin = figure.axes[0] if name == "unimodal-accuracy" else figure.axes[1]
    texts = margin.get_yticklabels() if name == "unimodal-accuracy" else margin.texts
    assert len(texts) == len(ZOO) - (name == "unimodal-accuracy")
    boxes = [text.get_window_extent(renderer) for text in texts]
    for i, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0, texts[i].get_text()
        assert box.x1 <= figure.bbox.x1, texts[i].get_text()
        assert figure.bbox.y0 <= box.y0, texts[i].get_text()
        assert box.y1 <= figure.bbox.y1, texts[i].get_text()
        for other in boxes[:i]:
            assert not box.padded(-1).overlaps(other.padded(-1)), texts[i].get_text()


def test_names_break_at_underscores_and_lose_nothing():
    name = "MASAM ρ=12, scale_by_alignment=false"
    assert wrapped(name, 22) == "MASAM ρ=12, scale_by_\nalignment=false"
    assert wrapped("MASAM", 22) == "MASAM"


@pytest.mark.parametrize("count", [1, 6, 7, 20])
def test_modalities_look_different(count):
    styles = line_styles([f"m{i}" for i in range(count)])
    assert len(set(styles.values())) == count
