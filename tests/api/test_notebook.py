"""A run in a notebook shows its course, and its last state stays."""

import sys

import nbformat
from nbclient import NotebookClient

from masam_jax.api.notebook import NotebookProgress, in_notebook, progress_for

CODE = """
import warnings
import masam_jax
run = masam_jax.train("synthetic", "late_fusion", steps=4, seeds=2, width=4, train_size=40,
                      batch_size=20, evaluate_every=2)
run.plot()
"""


def test_here_is_no_notebook(monkeypatch):
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    assert not in_notebook()
    assert not isinstance(progress_for(True), NotebookProgress)


def test_a_cell_shows_progress_and_plot():
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CODE)])
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    outputs = notebook.cells[0].outputs
    shown = [output for output in outputs if output.output_type == "display_data"]
    html = "".join(output.data.get("text/html", "") for output in shown)
    assert '<progress max="4" value="4">' in html
    assert "late fusion: step 4 of 4, done at step 4" in html
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not [output for output in outputs if output.output_type == "error"]
