"""Standard input, output and error, each of which may be closed, full or broken."""

import os
import sys

from train.errors import NotWritten, reason


class _Written:
    """A text stream. If writing fails, the command ends if `needed`; else the text is dropped."""

    def __init__(self, stream, needed: bool):
        self._stream, self._needed = stream, needed
        if hasattr(stream, "reconfigure"):  # a terminal may lack a character
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
            if isinstance(error, BrokenPipeError):  # has its own exit code
                raise
            raise NotWritten(f"cannot write to standard output ({reason(error)})") from error


def claim() -> None:
    """Call it before any file is opened.

    Otherwise a file would take the number of a closed stream, and messages would be written into
    it. A closed stream stays one that cannot be read or written.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # this is the lowest free number
            os.open(os.devnull, os.O_RDONLY if number else os.O_WRONLY)
            os.set_inheritable(number, True)
    sys.stdin = sys.stdin or open(0, closefd=False)
    if not isinstance(sys.stdout, _Written):
        sys.stdout = _Written(sys.stdout or open(1, "w", closefd=False), needed=True)
        sys.stderr = _Written(sys.stderr or open(2, "w", closefd=False), needed=False)


def give_up() -> None:
    """Drops, at the end, what standard output did not take.

    Otherwise Python would try once more, and end with 120.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
            stream.buffer.flush()  # fails again
        except (OSError, NotWritten):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
