"""What the terminal shows while a run trains: a progress bar, or plain lines in a file."""

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

# Plain lines come this often in a method's course.
_LINES = 10


class ProgressReport:
    """Shows step, loss, accuracy and the dominant modality of the method being trained."""

    def __init__(self, console: Console) -> None:
        """Reports to ``console``; with a bar if it is a terminal, else with lines."""
        self.console = console
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._title = ""
        self._total = 0
        self._next_line = 0
        if console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                TextColumn("{task.completed}/{task.total}"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[status]}"),
                console=console,
            )

    def begin(self, title: str, total: int, step: int) -> None:
        """A method begins, or goes on at ``step`` of ``total``."""
        self._title, self._total, self._next_line = title, total, step
        if self._bar is not None:
            self._task = self._bar.add_task(title, total=total, completed=step, status="compiling")
        else:
            suffix = f" from step {step}" if step else ""
            self.console.print(f"{title}: {total} steps{suffix}", highlight=False, markup=False)

    def update(self, step: int, loss: float, accuracy: float | None, dominant: str | None) -> None:
        """Metrics of a step, averaged over seeds; ``dominant`` in words."""
        status = f"loss {loss:.4f}" + ("" if accuracy is None else f"  acc {accuracy:.3f}")
        if dominant is not None:
            status += f"  dominant {dominant}"
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=step, status=status)
        elif step >= self._next_line or step == self._total:
            self._next_line += max(1, self._total // _LINES)
            self.console.print(
                f"  step {step}/{self._total}  {status}", highlight=False, markup=False
            )

    def note(self, text: str) -> None:
        """A line that is no step."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def end(self, step: int, summary: str) -> None:
        """The method is done at ``step``."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=step, total=step, status=summary)
            self._task = None
        else:
            self.console.print(f"  {summary}", highlight=False, markup=False)

    def __enter__(self) -> "ProgressReport":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()
