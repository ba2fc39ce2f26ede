"""What a comparison, a run or a tuning means: statistics, tables, plots, and the HTML report.

Samples of a data set are drawn here too, for ``masam datasets verify``.
"""

from masam_jax.core.extras import needs

with needs("masam_jax.analysis", "train", "analysis"):
    from masam_jax.analysis.conclusion import headline
    from masam_jax.analysis.latex import to_latex
    from masam_jax.analysis.plots import save_plots
    from masam_jax.analysis.ranks import RankComparison, compare_ranks
    from masam_jax.analysis.records import read_directory, read_metrics
    from masam_jax.analysis.report import write_report
    from masam_jax.analysis.rows import Row, UnimodalRow
    from masam_jax.analysis.statistics import PairedTest, Summary, holm, paired_test, summarize
    from masam_jax.analysis.table_files import save_tables
    from masam_jax.analysis.table_formats import to_csv, to_markdown, to_rich
    from masam_jax.analysis.tables import comparison_table, probe_table, unimodal_table

__all__ = [
    "PairedTest",
    "RankComparison",
    "Row",
    "Summary",
    "UnimodalRow",
    "compare_ranks",
    "comparison_table",
    "headline",
    "holm",
    "paired_test",
    "probe_table",
    "read_directory",
    "read_metrics",
    "save_plots",
    "save_tables",
    "summarize",
    "to_csv",
    "to_latex",
    "to_markdown",
    "to_rich",
    "unimodal_table",
    "write_report",
]
