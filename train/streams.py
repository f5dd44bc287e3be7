"""Standard input, output and error, of which each may be closed, full or broken."""

import os
import sys

from train.errors import NotWritten, reason


class _Written:
    """A text stream. What cannot be written there ends the command, or is left unsaid."""

    def __init__(self, stream, needed: bool):
        self._stream, self._needed = stream, needed
        if hasattr(stream, "reconfigure"):  # a character that a terminal does not have is no error
            stream.reconfigure(errors="backslashreplace")

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        return self._try(self._stream.write, text) or 0

    def flush(self) -> None:
        self._try(self._stream.flush)

    def _try(self, call, *arguments):
        try:
            return call(*arguments)
        except OSError as error:
            if not self._needed:
                return None
            if isinstance(error, BrokenPipeError):  # has a code of its own
                raise
            raise NotWritten(f"cannot write to standard output ({reason(error)})") from error


def claim() -> None:
    """Before any file is opened: one would take the number of a stream that is closed, and what is
    said would be written into it. A closed stream stays one that cannot be read or written."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # the lowest free number is this one
            os.open(os.devnull, os.O_RDONLY if number else os.O_WRONLY)
            os.set_inheritable(number, True)
    sys.stdin = sys.stdin or open(0, closefd=False)
    if not isinstance(sys.stdout, _Written):
        sys.stdout = _Written(sys.stdout or open(1, "w", closefd=False), needed=True)
        sys.stderr = _Written(sys.stderr or open(2, "w", closefd=False), needed=False)


def give_up() -> None:
    """At the end: what standard output did not take is dropped, which Python would try once more,
    and end with 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
            stream.buffer.flush()  # and fails again
        except (OSError, NotWritten):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
