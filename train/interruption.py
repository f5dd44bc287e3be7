"""SIGTERM and Ctrl-C: a training that hears one saves a checkpoint, ends with code 75, and goes on
by the same command."""

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
    """Signals are heard from now on, by a thread: a main thread that compiles for a minute would
    not hear them.

    Where nothing is `held` the first ends the process at once, with code 75, as there is nothing to
    save; a second Ctrl-C ends it at once wherever it is, with 130.
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
    """Again after a library has taken them, as jax.distributed.initialize does with SIGTERM."""
    for number in SIGNALS if _listening else ():
        # what nohup and a script's & leave alone stays so
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda *_: None)  # it wakes the thread, no more


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
    with contextlib.suppress(OSError):  # a terminal that is gone: signals are heard still
        os.write(2, f"{line}\n".encode())


def _end(command: str, line: str, code: int) -> None:
    show_cursor = "\x1b[?25h" if os.isatty(2) else ""  # which a progress bar has hidden
    _say(f"{show_cursor}{command}: {line}")
    hosts.leave(line, code, together=False)
    os._exit(code)


@contextlib.contextmanager
def held():
    """Within it a signal is only noted, for whoever asks `requested`."""
    global _held
    _held = True
    try:
        yield
    finally:
        _held = False


def requested(step: int) -> bool:
    """Whether to save and end now, before `step` is evaluated or trained further; several processes
    answer alike."""
    return hosts.requested(step, bool(_heard))
