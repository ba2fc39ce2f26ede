"""Within a notebook's cell: the course of a run, and figures."""

import html
import sys
from typing import Any

from rich.console import Console

from masam_jax.training.progress_report import ProgressReport


def in_notebook() -> bool:
    """Whether this is a Jupyter kernel."""
    return "ipykernel" in sys.modules and "IPython" in sys.modules and _shell() is not None


def show_figures() -> None:
    """Makes cells show figures that pyplot did not make; outside of notebooks it does nothing."""
    if in_notebook():
        from IPython.core.pylabtools import select_figure_formats

        select_figure_formats(_shell(), {"png"})  # type: ignore[no-untyped-call]


def progress_for(shown: bool) -> ProgressReport:
    """What shows the course of a run, wherever this is.

    Args:
      shown: whether to show anything.
    """
    if not shown:
        return ProgressReport(Console(quiet=True))
    return NotebookProgress() if in_notebook() else ProgressReport(Console(stderr=True))


class NotebookProgress(ProgressReport):
    """A line for each method, which is replaced as training goes on; needs no widgets."""

    def __init__(self) -> None:
        super().__init__(Console(quiet=True))
        self._handle: Any = None
        self._done: list[str] = []
        self._line = ""

    def begin(self, title: str, total: int, step: int) -> None:
        """See `ProgressReport`."""
        self._title, self._total = title, total
        self._show(step, "compiling")

    def update(self, step: int, loss: float, accuracy: float | None, dominant: str | None) -> None:
        """See `ProgressReport`."""
        status = f"loss {loss:.4f}" + ("" if accuracy is None else f", accuracy {accuracy:.3f}")
        self._show(step, status if dominant is None else f"{status}, dominant {dominant}")

    def note(self, text: str) -> None:
        """See `ProgressReport`."""
        self._done.append(f"<div>{html.escape(text)}</div>")

    def end(self, step: int, summary: str) -> None:
        """See `ProgressReport`."""
        self._total = step
        self._show(step, summary)
        self._done.append(self._line)
        self._line = ""

    def _show(self, step: int, status: str) -> None:
        from IPython.display import HTML, display

        self._line = (
            f'<div><progress max="{self._total}" value="{step}"></progress>'
            f" {html.escape(f'{self._title}: step {step} of {self._total}, {status}')}</div>"
        )
        content = HTML("".join([*self._done, self._line]))  # type: ignore[no-untyped-call]
        if self._handle is None:
            self._handle = display(content, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(content)


def _shell() -> Any:
    from IPython.core.getipython import get_ipython

    return get_ipython()
