"""The tables of a comparison or a run as files: Markdown, CSV and LaTeX."""

from pathlib import Path

from masam_jax.analysis.class_scores import read_class_counts
from masam_jax.analysis.class_tables import confusion_csv, scores_csv
from masam_jax.analysis.latex import to_latex
from masam_jax.analysis.records import Directory, read_directory
from masam_jax.analysis.rows import UnimodalRow
from masam_jax.analysis.table_formats import to_csv, to_markdown
from masam_jax.analysis.tables import comparison_table, probe_table, unimodal_table
from masam_jax.training.metric_names import phrase
from masam_jax.training.storage.atomic_files import write_text


def save_tables(directory: str | Path) -> list[Path]:
    """Writes ``table.md`` (both tables), and the main one as ``table.csv`` and ``table.tex``.

    The CSV has every number in full precision; the LaTeX is a booktabs tabular. Where the run
    recorded which classes were taken for which, ``classes.csv`` has precision, recall and F1 of
    each class, and ``confusion.csv`` the counts of all seeds together.

    Args:
      directory: a directory with ``results.json`` or ``result.json``.

    Returns:
      The files' paths.

    Raises:
      ValueError: if the directory's records are missing or damaged.
    """
    record = read_directory(directory)
    rows = comparison_table(record.results)
    markdown = to_markdown(rows)
    for subject, table in tables_by_modality(record).items():
        if table:
            score = f"{record.split.capitalize()} {phrase(table[0].metric)}"
            markdown += f"\n{score} of {subject}:\n\n{to_markdown(table)}"
    texts = {"table.md": markdown, "table.csv": to_csv(rows), "table.tex": to_latex(rows)}
    if counted := read_class_counts(record):
        texts |= {"classes.csv": scores_csv(counted), "confusion.csv": confusion_csv(counted)}
    for name, text in texts.items():
        write_text(record.path / name, text)
    return [record.path / name for name in texts]


def tables_by_modality(record: Directory) -> dict[str, list[UnimodalRow]]:
    """The tables of single modalities, by what they are of."""
    return {
        "linear probes on the frozen encoders": probe_table(record.results),
        "the unimodal heads": unimodal_table(record.results),
    }
