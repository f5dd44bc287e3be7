"""SIGTERM and Ctrl-C: training saves a checkpoint and ends with code 75.

The same command then resumes it.
"""

import contextlib
import os
import signal
import threading

from train import hosts, streams
from train.errors import Interrupted

SIGNALS = (signal.SIGTERM, signal.SIGINT)
_heard: list[int] = []
_held = _listening = False


def listen(command: str) -> None:
    """Starts a thread that hears signals: a main thread that compiles would not hear them.

    Where nothing is `held`, the first signal ends the process at once, with code 75, as there is
    nothing to save. A second Ctrl-C ends it at once wherever it is, with 130.
    """
    global _listening
    streams.claim()
    _listening = True
    take_signals()
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write)
    threading.Thread(target=_hear, args=(read, command), daemon=True).start()


def take_signals() -> None:
    """Takes the signals back from a library: jax.distributed.initialize takes SIGTERM."""
    for number in SIGNALS if _listening else ():
        # signals that nohup and a script's & ignore stay ignored
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda *_: None)  # only wakes the thread


def _hear(read: int, command: str) -> None:
    while True:
        number = os.read(read, 1)[0]
        if number not in SIGNALS:
            continue
        if number == signal.SIGINT and signal.SIGINT in _heard:
            _end(command, "ended at once; what was saved before stays", 130)
        _heard.append(number)
        if not _held:
            _end(command, "interrupted; the same command goes on", Interrupted.code)
        if len(_heard) == 1:
            again = "; Ctrl-C again ends at once" if number == signal.SIGINT else ""
            _say(f"{command}: interrupted; saving a checkpoint{again}")


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # if the terminal is gone, signals are still heard
        os.write(2, f"{line}\n".encode())


def _end(command: str, line: str, code: int) -> None:
    show_cursor = "\x1b[?25h" if os.isatty(2) else ""  # a progress bar has hidden it
    _say(f"{show_cursor}{command}: {line}")
    hosts.leave(line, code, together=False)
    os._exit(code)


@contextlib.contextmanager
def held():
    """Within it a signal is only noted, for the next call of `requested`."""
    global _held
    _held = True
    try:
        yield
    finally:
        _held = False


def requested(step: int) -> bool:
    """Whether to save and end now, before `step` is evaluated or trained further.

    All processes get the same answer.
    """
    return hosts.requested(step, bool(_heard))
