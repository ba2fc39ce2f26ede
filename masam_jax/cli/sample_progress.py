"""What the terminal shows while samples are read: a progress bar, or plain lines in a file."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

# Plain lines come this often.
_LINES = 10


class SampleProgress:
    """Shows how many samples are done, of how many."""

    def __init__(self, console: Console, title: str) -> None:
        """Reports to ``console``; with a bar if it is a terminal, else with lines."""
        self._console = console
        self._title = title
        self._next_line = 1
        self._bar: Progress | None = None
        if console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=console,
                transient=True,
            )
            # Listing the files comes first, and its end is not known.
            self._task = self._bar.add_task(title, total=None)

    def update(self, done: int, count: int) -> None:
        """So many samples are done."""
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=count)
        elif done >= self._next_line or done == count:
            self._next_line = done + max(1, count // _LINES)
            self._console.print(
                f"{self._title}: {done}/{count}", highlight=False, markup=False, soft_wrap=True
            )

    def __enter__(self) -> "SampleProgress":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()
