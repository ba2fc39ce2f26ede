import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from masam_jax.analysis.critical_difference import critical_difference_plot, draw_ranks
from masam_jax.analysis.palette import BASELINE, HIGHLIGHT
from masam_jax.analysis.ranks import compare_ranks
from masam_jax.analysis.records import read_directory
from masam_jax.analysis.style import wrapped
from tests.analysis.fake_directories import METHODS, ZOO, write_comparison, write_json


def _comparison(path, **options):
    return read_directory(write_comparison(path / "comparison", **options))


def _steps(count, blocks=6):
    """Methods in their order, with the neighbours' places exchanged on every third block."""
    rows = [[float(-k) for k in range(count)] for _ in range(blocks)]
    for row in rows[::3]:
        row[0], row[1] = row[1], row[0]
    return [list(column) for column in zip(*rows, strict=True)]


def _drawn(count):
    titles = [ZOO[k % len(ZOO)][1] + ("" if k < len(ZOO) else " again") for k in range(count)]
    ranks = compare_ranks(_steps(count))
    return ranks, titles, draw_ranks(ranks, titles, baseline=0)


@pytest.mark.parametrize("count", [3, 4, 7, 18, 20])
def test_no_text_covers_another_or_leaves_the_figure(count):
    _, titles, figure = _drawn(count)
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    texts = [text for text in figure.axes[0].texts if text.get_text()]
    assert {text.get_text().replace("\n", "").replace(" ", "") for text in texts} >= {
        title.replace(" ", "") for title in titles
    }
    boxes = [text.get_window_extent(renderer) for text in texts]
    for i, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0, texts[i].get_text()
        assert box.x1 <= figure.bbox.x1, texts[i].get_text()
        assert figure.bbox.y0 <= box.y0, texts[i].get_text()
        assert box.y1 <= figure.bbox.y1, texts[i].get_text()
        assert not any(box.overlaps(other) for other in boxes[:i]), texts[i].get_text()


def test_lines_lead_from_ranks_to_names_and_bars_join_cliques():
    ranks, titles, figure = _drawn(12)
    ax = figure.axes[0]
    bars = [line for line in ax.lines if line.get_gid() == "clique"]
    assert len(bars) == len(ranks.cliques) > 1
    elbows = {line.get_ydata()[-1]: line for line in ax.lines if len(line.get_xdata()) == 3}
    names = {text.get_text(): text.get_position() for text in ax.texts}
    ends = {}
    for method, title in enumerate(titles):
        x, y = names[wrapped(title, 22)]
        # Right and left of the middle share heights: the elbow on this name's side.
        elbow = min(
            (line for line in ax.lines if len(line.get_xdata()) == 3),
            key=lambda line: abs(line.get_xdata()[-1] - x) + abs(line.get_ydata()[-1] - y),
        )
        assert elbow.get_color() == (BASELINE if method == 0 else HIGHLIGHT)
        ends[method] = elbow.get_xdata()[0]
    assert len(elbows) == 6
    for bar, clique in zip(bars, ranks.cliques, strict=True):
        first, last = bar.get_xdata()
        assert first == pytest.approx(ends[clique[0]], abs=0.05)
        assert last == pytest.approx(ends[clique[-1]], abs=0.05)
    scale = (ends[11] - ends[0]) / (ranks.mean_ranks[11] - ranks.mean_ranks[0])
    ruler = ax.lines[[len(line.get_xdata()) for line in ax.lines].index(2) :]
    lengths = [line.get_xdata()[1] - line.get_xdata()[0] for line in ruler if not line.get_gid()]
    assert any(abs(length - scale * ranks.critical_difference) < 1e-9 for length in lengths)


@pytest.mark.parametrize("methods,seeds", [(2, 8), (3, 2), (3, 1)])
def test_too_little_to_rank_has_no_plot(tmp_path, methods, seeds):
    record = _comparison(tmp_path, methods=METHODS[:methods], seeds=seeds)
    assert critical_difference_plot(record) == []


def test_caption_says_what_was_tested(tmp_path):
    (plot,) = critical_difference_plot(_comparison(tmp_path, methods=ZOO, seeds=8))
    assert plot.name == "critical-difference"
    assert "test accuracy over 8 seeds" in plot.caption
    assert "Friedman's test says that the methods differ (χ² = " in plot.caption
    assert "Nemenyi's test at level 0.05" in plot.caption
    assert "critical difference, 9.31." in plot.caption
    assert plot.caption.count("a weaker design than Demšar's many data sets") == 1
    assert "diverged" not in plot.caption


def test_caption_claims_nothing_where_friedman_does_not_reject(tmp_path):
    even = [(spec, title, 0.93, traced) for spec, title, _, traced in METHODS]
    (plot,) = critical_difference_plot(_comparison(tmp_path, methods=even, seeds=3))
    assert "does not tell the methods apart" in plot.caption
    bars = [line for line in plot.figure.axes[0].lines if line.get_gid() == "clique"]
    assert len(bars) == 1


def test_diverged_seeds_are_ranked_and_named(tmp_path):
    record = _comparison(tmp_path, seeds=4)
    for result in record.results["methods"]:
        if result["spec"].startswith("masam"):
            result["test"]["accuracy"] = [None] * 4
    write_json(record.path / "results.json", record.results)
    (plot,) = critical_difference_plot(read_directory(record.path))
    assert "A seed that diverged ranks last." in plot.caption
    assert "3.00" in [text.get_text() for text in plot.figure.axes[0].texts]
