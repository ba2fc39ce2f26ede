"""What a comparison or a run means: statistics, tables, plots, and the HTML report."""

from masam_jax.analysis.headline import headline
from masam_jax.analysis.plots import save_plots
from masam_jax.analysis.records import read_directory, read_metrics
from masam_jax.analysis.report import save_tables, write_report
from masam_jax.analysis.statistics import PairedTest, Summary, holm, paired_test, summarize
from masam_jax.analysis.tables import (
    Row,
    UnimodalRow,
    comparison_table,
    to_csv,
    to_markdown,
    to_rich,
    unimodal_table,
)

__all__ = [
    "PairedTest",
    "Row",
    "Summary",
    "UnimodalRow",
    "comparison_table",
    "headline",
    "holm",
    "paired_test",
    "read_directory",
    "read_metrics",
    "save_plots",
    "save_tables",
    "summarize",
    "to_csv",
    "to_markdown",
    "to_rich",
    "unimodal_table",
    "write_report",
]
