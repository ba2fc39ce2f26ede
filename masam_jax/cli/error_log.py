"""Tracebacks of a run that failed: in a file, so that a message is the last on the terminal."""

import gc
import logging
import sys
import tempfile
import threading
import traceback
import warnings
from pathlib import Path
from types import TracebackType

ERROR_LOG = "errors.log"
# Orbax's threads log their errors with absl's logger, and leave tasks behind whose errors asyncio
# logs when they are deleted.
_LOGGERS = ("absl", "asyncio")


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
        self._handler = _Handler(self)
        self._propagated = {}
        for name in _LOGGERS:
            logger = logging.getLogger(name)
            logger.addHandler(self._handler)
            self._propagated[name], logger.propagate = logger.propagate, False
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
        if self.path is not None:  # Something failed: what it left behind is deleted here.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                gc.collect()
        for name, propagated in self._propagated.items():
            logger = logging.getLogger(name)
            logger.removeHandler(self._handler)
            logger.propagate = propagated
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
