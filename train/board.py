"""TensorBoard's event files, written at once and without a thread.

A thread that ended because the disk is full would be waited for.
"""

import sys
import time

from etils import epath


def _tensorboardx():
    """Imports tensorboardX with torch hidden: importing torch takes seconds and is not needed."""
    hidden = sys.modules.setdefault("torch", None) is None
    try:
        from tensorboardX import event_file_writer, summary
        from tensorboardX.proto import event_pb2
    finally:
        if hidden:
            del sys.modules["torch"]
    return event_file_writer.EventsWriter, event_pb2, summary.scalar


class Board:
    """One event file in a local folder.

    resumed_at: earlier files' values of this step and of later ones are hidden.
    """

    def __init__(self, folder: epath.Path, resumed_at: int):
        writer, self._proto, self._scalar = _tensorboardx()
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._writer = writer(str(folder / "events"))
        start = self._proto.SessionLog(status=self._proto.SessionLog.START)
        self._writer.write_event(self._proto.Event(step=resumed_at, session_log=start))

    def add(self, name: str, value: float, step: int) -> None:
        summary = self._scalar(name, value)
        self._writer.write_event(
            self._proto.Event(wall_time=time.time(), step=step, summary=summary)
        )

    def flush(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()
