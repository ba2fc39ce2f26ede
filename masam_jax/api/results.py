"""What a run left, to look at in Python."""

import os
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from masam_jax import analysis
from masam_jax.analysis.plots import make_plots
from masam_jax.analysis.records import Directory
from masam_jax.api.notebook import show_figures
from masam_jax.api.running import OutputPlace
from masam_jax.config.errors import RunError
from masam_jax.core.specs import unknown


class RunResults:
    """A run, finished, in its directory.

    Attributes:
      path: the directory; a temporary one, which goes with this object, where none was asked for.
    """

    def __init__(self, place: OutputPlace) -> None:
        """Of a directory that training wrote."""
        self.path = place.path
        self._place = place  # A temporary one lives as long.
        self._record: Directory = analysis.read_directory(place.path)

    @property
    def table(self) -> pd.DataFrame:
        """A row for each method, by its title: means and standard deviations over seeds.

        Scores are fractions; p-values are those of paired tests against the baseline, where there
        is one. Columns of which no method has a number are left out. The first columns are the
        score, its difference to the baseline and the corrected p-value.
        """
        rows = [row.numbers() for row in analysis.comparison_table(self._record.results)]
        table = pd.DataFrame(rows).set_index("method").dropna(axis="columns", how="all")
        metric = self._record.metric
        first = [f"{metric}_mean", f"{metric}_std", "difference_mean", "p_paired_t_holm"]
        last = ["split", "seeds", "spec"]
        shown = [name for name in first if name in table]
        rest = [name for name in table if name not in (*first, *last)]
        return table[[*shown, *rest, *last]]

    @property
    def scores(self) -> pd.DataFrame:
        """The score of every seed (rows) and method (columns), a fraction."""
        seeds = pd.Index(self._record.results["seeds"], name="seed")
        columns = {m.title: self._record.scores(m) for m in self._record.methods}
        return pd.DataFrame(columns, index=seeds, dtype=float)

    @property
    def headline(self) -> str:
        """What came out, in a sentence."""
        rows = analysis.comparison_table(self._record.results)
        return analysis.headline(rows, self._record.results.get("dataset"))

    def plot(self, name: str | None = None) -> Figure:
        """One of the report's plots.

        Args:
          name: which; the first, of the final scores, when None. `plot_names` lists them.

        Raises:
          ValueError: no plot has that name, with the nearest one.
        """
        plots = {plot.name: plot.figure for plot in make_plots(self._record)}
        if name is not None and name not in plots:
            raise ValueError(unknown("plot", name, plots))
        show_figures()
        return plots[name] if name is not None else next(iter(plots.values()))

    @property
    def plot_names(self) -> tuple[str, ...]:
        """Names that `plot` accepts."""
        return tuple(plot.name for plot in make_plots(self._record))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Copies the run, with tables, plots and ``report.html``.

        ``masam evaluate`` and `masam_jax.predict.load_predictor` take the copy.

        Args:
          path: a directory that does not exist, or is empty; or the run's own, to which the report
            is then added.

        Returns:
          It.

        Raises:
          RunError: something is there.
          OSError: it cannot be written.
        """
        place = Path(path)
        if not (place.exists() and place.samefile(self.path)):
            if place.is_file() or (place.exists() and any(place.iterdir())):
                raise RunError(f"{place} is there already; save where nothing is")
            ignored = shutil.ignore_patterns(".lock")
            shutil.copytree(self.path, place, dirs_exist_ok=True, ignore=ignored)
        analysis.save_tables(place)
        analysis.write_report(place)
        return place

    def __repr__(self) -> str:
        """The sentence, and where the rest is."""
        return f"{type(self).__name__}({str(self.path)!r})\n{self.headline}"

    def _repr_html_(self) -> str:
        """The table as a notebook shows it."""
        cells: list[dict[str, Any]] = [
            row.terminal_cells() for row in analysis.comparison_table(self._record.results)
        ]
        shown = pd.DataFrame(cells).set_index("Method")
        told = pd.DataFrame({"": [self.headline]}).to_html(index=False, header=False, border=0)
        return shown.to_html(border=0) + told
