"""Tracebacks of a run that failed: in a file, so that a message is the last on the terminal."""

import logging
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from types import TracebackType

ERROR_LOG = "errors.log"


class ErrorLog:
    """While entered, what libraries and threads say of errors goes to a file.

    Attributes:
      path: the file, None while nothing was written.
    """

    def __init__(self, run: Path) -> None:
        """Logs into ``errors.log`` of a run directory; beside other temporary files without one."""
        self.path: Path | None = None
        self._run = run

    def __enter__(self) -> "ErrorLog":
        # Orbax's threads log their errors with absl's logger.
        self._logger = logging.getLogger("absl")
        self._handler = _Handler(self)
        self._logger.addHandler(self._handler)
        self._propagated, self._logger.propagate = self._logger.propagate, False
        self._hooks = threading.excepthook, sys.unraisablehook
        threading.excepthook = lambda args: self.write(
            "".join(traceback.format_exception(args.exc_value))
        )
        sys.unraisablehook = lambda args: self.write(
            "".join(traceback.format_exception(args.exc_value))
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._logger.removeHandler(self._handler)
        self._logger.propagate = self._propagated
        threading.excepthook, sys.unraisablehook = self._hooks

    def write(self, text: str) -> None:
        """Appends text, to the first place that has room for it."""
        beside = Path(tempfile.gettempdir()) / f"masam-{self._run.name or 'run'}-{ERROR_LOG}"
        # A directory that is no run yet would not be taken for an empty one with a file in it.
        begun = (self._run / "config.json").is_file()
        for path in ([self._run / ERROR_LOG] if begun else []) + [beside]:
            try:
                with path.open("a", encoding="utf-8") as file:
                    file.write(text.rstrip("\n") + "\n")
            except OSError:
                continue
            self.path = path
            return


class _Handler(logging.Handler):
    def __init__(self, log: ErrorLog) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.write(self.format(record))
