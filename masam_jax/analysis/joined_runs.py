"""Any runs on one page: their methods over their data sets, differences, ranks, and plots."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from masam_jax.analysis import formatting
from masam_jax.analysis.critical_difference import draw_ranks
from masam_jax.analysis.final_scores import final_score_plots
from masam_jax.analysis.ranks import MIN_BLOCKS, MIN_METHODS, RankComparison, compare_ranks
from masam_jax.analysis.records import Directory, MethodRecord, read_directory
from masam_jax.analysis.result_page import ResultPage
from masam_jax.analysis.result_table import (
    Cell,
    ResultTable,
    interval_cell,
    number_cell,
    score_table,
    text_cell,
)
from masam_jax.analysis.statistics import paired_test, summarize
from masam_jax.analysis.style import Plot
from masam_jax.training.metric_names import phrase

# What runs must have in common to be one column: then their seeds are the same experiment.
_SHARED = ("data", "corruption", "seeds")


@dataclasses.dataclass(frozen=True)
class Column:
    """Runs of one experiment: the same data, splits and seeds.

    Attributes:
      heading: what tells it from the others.
      runs: those of it, in the order given.
      methods: title -> what was recorded, with the run that it is of.
    """

    heading: str
    runs: tuple[Directory, ...]
    methods: Mapping[str, tuple[Directory, MethodRecord]]

    def scores(self, title: str) -> list[float | None]:
        """A method's scores, one a seed."""
        run, method = self.methods[title]
        return run.scores(method)

    @property
    def baseline(self) -> str:
        """The method that the others are compared with."""
        own = [run.baseline.title for run in self.runs if run.is_comparison]
        late = [t for t, (_, m) in self.methods.items() if m.result["spec"] == "late_fusion"]
        return [*own, *late, *self.methods][0]


def join_runs(directories: Sequence[str | Path], command: str = "") -> ResultPage:
    """Reads runs, and puts them on one page.

    Runs of the same data, splits and seeds share a column, however many directories they are in;
    others have one each.

    Args:
      directories: of ``masam train`` or ``masam compare``.
      command: that makes the page again.

    Returns:
      The page, for `save_result_page`.

    Raises:
      ValueError: there is no run, one's records are missing or damaged, or one is named twice.
    """
    if not directories:
        raise ValueError("no run is named; at least one is needed")
    paths = [Path(each) for each in directories]
    twice = [str(p) for i, p in enumerate(paths) if p.resolve() in [o.resolve() for o in paths[:i]]]
    if twice:
        raise ValueError(f"{twice[0]} is named twice; once is enough")
    columns = _columns([read_directory(path) for path in paths])
    ranks = _ranks(columns)
    tables = [_scores(columns), _differences(columns), _ranks_table(columns, ranks), _list(columns)]
    return ResultPage(
        heading=f"{len(paths)} runs" if len(paths) > 1 else f"Report on {paths[0]}",
        remarks=_remarks(columns, ranks),
        facts=(
            ("Runs", str(len(paths))),
            ("Methods", str(len(_titles(columns)))),
            ("Data and settings", str(len(columns))),
        ),
        tables=tuple(table for table in tables if table.rows),
        plots=_plots(columns, ranks),
        command=command,
    )


def _columns(runs: Sequence[Directory]) -> list[Column]:
    grouped: dict[str, list[Directory]] = {}
    for run in runs:
        group = grouped.setdefault(_key(run), [])
        held = {m.title for other in group for m in other.methods}
        # The same method twice is two runs to be told apart.
        if held & {m.title for m in run.methods}:
            grouped[f"{_key(run)} {run.path}"] = [run]
        else:
            group.append(run)
    names = [_name(group[0]) for group in grouped.values()]
    return [
        Column(
            name if names.count(name) == 1 else f"{name} ({group[0].path.name})",
            tuple(group),
            {m.title: (run, m) for run in group for m in run.methods},
        )
        for name, group in zip(names, grouped.values(), strict=True)
    ]


def _key(run: Directory) -> str:
    config = run.config or {}
    shared = {name: config.get(name) for name in _SHARED}
    seeds = run.results.get("seeds")
    about = [run.results.get("dataset"), run.metric, run.split, seeds, shared]
    # Without a configuration nobody knows what two runs have in common.
    return json.dumps([*about, "" if any(shared.values()) else str(run.path)], sort_keys=True)


def _name(run: Directory) -> str:
    dataset = run.results.get("dataset") or run.path.name
    return f"{dataset}, {run.split} {phrase(run.metric)}"


def _titles(columns: Sequence[Column]) -> list[str]:
    return list(dict.fromkeys(title for column in columns for title in column.methods))


def _scores(columns: Sequence[Column]) -> ResultTable:
    rows = {
        title: {c.heading: summarize(c.scores(title)) for c in columns if title in c.methods}
        for title in _titles(columns)
    }
    return score_table(
        "scores",
        "Scores",
        rows,
        columns=[column.heading for column in columns],
        caption="In percent, mean ± standard deviation over seeds; the highest mean of a column in"
        " bold.",
    )


def _differences(columns: Sequence[Column]) -> ResultTable:
    rows = []
    for title in _titles(columns):
        cells = [_difference(column, title) for column in columns]
        if any("mean" in cell.numbers for cell in cells):
            rows.append((text_cell(title), *cells))
    return ResultTable(
        "differences",
        "Differences to the baseline",
        ("Method", *(f"{c.heading}, to {c.baseline}" for c in columns)),
        tuple(rows),
        "In percentage points, seed by seed, with Student's 95 % interval of the mean, which is not"
        " corrected for the number of methods.",
    )


def _difference(column: Column, title: str) -> Cell:
    if title not in column.methods:
        return text_cell(formatting.DASH)
    if title == column.baseline:
        return text_cell("baseline")
    ours, theirs = column.scores(title), column.scores(column.baseline)
    test = paired_test(ours, theirs)
    return interval_cell(test.mean_difference, test.interval(), scale=100, signed=True)


def _ranks(columns: Sequence[Column]) -> tuple[list[str], RankComparison] | None:
    """Ranks of the methods that all columns have, a block for each column."""
    shared = [t for t in _titles(columns) if all(t in column.methods for column in columns)]
    if len(shared) < MIN_METHODS or len(columns) < MIN_BLOCKS:
        return None
    means = [[summarize(column.scores(t)).mean for column in columns] for t in shared]
    return shared, compare_ranks(means)


def _ranks_table(
    columns: Sequence[Column], ranks: tuple[list[str], RankComparison] | None
) -> ResultTable:
    rows = []
    if ranks is not None:
        shared, found = ranks
        rows = [(text_cell(shared[i]), number_cell(found.mean_ranks[i])) for i in found.order]
    return ResultTable(
        "ranks",
        "Mean ranks",
        ("Method", "Mean rank"),
        tuple(rows),
        f"Of the mean scores, 1 is the best, over {len(columns)} columns; methods that all of them"
        " have.",
    )


def _list(columns: Sequence[Column]) -> ResultTable:
    rows = [
        (
            text_cell(str(run.path)),
            text_cell(column.heading),
            number_cell(float(len(run.methods)), 0),
            number_cell(float(len(run.baseline.result["seeds"])), 0),
        )
        for column in columns
        for run in column.runs
    ]
    return ResultTable("runs", "The runs", ("Directory", "Column", "Methods", "Seeds"), tuple(rows))


def _remarks(
    columns: Sequence[Column], ranks: tuple[list[str], RankComparison] | None
) -> tuple[str, ...]:
    if ranks is None:
        return ()
    shared, found = ranks
    differ = "differ" if found.p_value < found.level else "are not told apart"
    best = shared[found.order[0]]
    return (
        f"Over {found.blocks} data sets the methods' ranks {differ} (Friedman's test, p ="
        f" {formatting.p_value(found.p_value)}); {best} has the best mean rank,"
        f" {formatting.number(min(found.mean_ranks))} of {len(shared)}.",
    )


def _plots(
    columns: Sequence[Column], ranks: tuple[list[str], RankComparison] | None
) -> tuple[Plot, ...]:
    plots = [
        dataclasses.replace(
            final_score_plots(run)[0],
            name=f"scores-{number}",
            title=f"{column.heading}: {run.path.name}",
        )
        for number, (column, run) in enumerate(
            ((column, run) for column in columns for run in column.runs), start=1
        )
    ]
    if ranks is not None:
        shared, found = ranks
        baseline = shared.index(columns[0].baseline) if columns[0].baseline in shared else -1
        caption = (
            "Ranks of the mean scores, averaged over data sets; 1 is the best. Bars join methods"
            f" that Nemenyi's test does not tell apart at level {found.level:g}."
        )
        figure = draw_ranks(found, shared, baseline=baseline)
        plots.insert(0, Plot("ranks", "Mean ranks and critical difference", caption, figure))
    return tuple(plots)
