"""Executes the notebooks and stores their outputs: python -m experiments.notebooks [NAME ...].

What changes from run to run without meaning anything is left out, so that a difference is one.
"""

import re
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
_PLACES = re.compile(r"/[\w./-]*/(?:(?:masam_jax-|tmp)\w+|ipykernel_\d+/\d+\.py)")


def execute(notebook: nbformat.NotebookNode, folder: Path = FOLDER) -> None:
    """Runs all cells, in place.

    Args:
      notebook: the notebook.
      folder: where its kernel starts.

    Raises:
      nbclient.exceptions.CellExecutionError: a cell fails.
    """
    NotebookClient(notebook, timeout=600, kernel_name="python3").execute(cwd=folder)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", ()):
            output.get("metadata", {}).pop("execution", None)
            for kind, content in output.get("data", {}).items():
                if kind.startswith("text/"):
                    output["data"][kind] = _PLACES.sub("/tmp/run", content)
            if "text" in output:
                output["text"] = _PLACES.sub("/tmp/run", output["text"])


def main(names: list[str]) -> None:
    """Executes the named notebooks, or all of them."""
    for path in sorted(FOLDER.glob("*.ipynb")):
        if names and path.stem not in names:
            continue
        begin = time.monotonic()
        notebook: Any = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
        execute(notebook)
        nbformat.write(notebook, path)  # type: ignore[no-untyped-call]
        print(f"{path.name}: {time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
