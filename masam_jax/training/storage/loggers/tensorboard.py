"""TensorBoard events: ``tensorboard/`` of a run directory."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto import event_pb2
from tensorboardX.summary import scalar


class TensorBoardLogger:
    """Writes means over seeds; TensorBoard shows of repeated steps the later ones."""

    def __init__(self, directory: Path, step: int, config: Mapping[str, Any]) -> None:
        """See `OpenLogger`."""
        events = directory / "tensorboard"
        events.mkdir(exist_ok=True)
        # Its SummaryWriter writes in a thread, whose end on a full disk would block this one.
        self._events = EventsWriter(str(events / "events"))
        restart = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._events.write_event(
            event_pb2.Event(wall_time=time.time(), step=step + 1, session_log=restart)
        )

    def write(self, step: int, values: Mapping[str, np.ndarray]) -> None:
        """An event a metric."""
        for name, value in values.items():
            # Of NaN, as of a seed that diverged, `scalar` would warn each time.
            summary = scalar(name, 0.0)
            summary.value[0].simple_value = float(np.mean(value))
            self._events.write_event(
                event_pb2.Event(wall_time=time.time(), step=step, summary=summary)
            )

    def sync(self) -> None:
        """To the disk."""
        self._events.flush()

    def close(self) -> None:
        """Closes the file."""
        self._events.close()
