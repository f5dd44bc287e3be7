"""Makes sure that one process alone trains in a workdir, and that it may write there.

The system locks a local workdir, and releases the lock whatever ends the process. On gs:// the
lock is an object. Its holder writes it again every `BEAT` seconds, each time on the condition that
its generation is still the last one that it wrote. A lock whose generation stays the same for
`STALE` seconds belongs to a dead process, and the process that watched it takes it over.
"""

import contextlib
import fcntl
import json
import os
import secrets
import socket
import sys
import threading
import time

from train import buckets, documents, hosts, log
from train.errors import BadInput, Ending, NotWritten, reason

NAME = "lock"
BEAT = 15  # s
STALE = 60  # s, by the clock of the process that waits
POLL = 2  # s between two looks at another process's lock
ROLE = "roles/storage.objectUser"  # all rights that a run needs

_held = None


@contextlib.contextmanager
def alone_in(workdir):
    """Makes the workdir, in process 0, and holds its lock.

    Raises BadInput where another process holds it, or where nothing can be written; NotWritten
    where a bucket does not answer.
    """
    if not hosts.first():
        yield
        return
    with _on_bucket(workdir) if str(workdir).startswith("gs://") else _on_disk(workdir):
        yield


@contextlib.contextmanager
def _on_disk(workdir):
    file = workdir / NAME
    with _trying("write", workdir):
        workdir.mkdir(parents=True, exist_ok=True)
        if os.path.islink(file):  # otherwise it would lock, or create, the target of the link
            file.unlink()
        lock = (
            contextlib.nullcontext()
            if "://" in str(workdir)
            else open(file, "a", opener=log.follow_no_link)
        )
    with lock as file:
        try:
            if file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # another OSError: the file system has no locks, and the run goes without one
        except OSError as error:
            if isinstance(error, BlockingIOError):
                raise _taken(workdir) from None
        yield


@contextlib.contextmanager
def _on_bucket(workdir):
    global _held
    with _trying("write", workdir):
        lock = Lock(buckets.store(workdir), workdir)
        lock.take()
    _held = lock
    try:
        yield
    finally:
        _held = None
        lock.release()


def confirm() -> None:
    """Call it before a checkpoint is written.

    It ends a process that was paused so long that another one took its lock over.
    """
    if _held and time.monotonic() - _held.written > STALE / 2:
        _held.refresh()


class Lock:
    """An object in a key-value store of TensorStore; held from `take` to `release`."""

    def __init__(self, store, workdir):
        self._store, self._workdir = store, workdir
        holder = {"host": socket.gethostname(), "process": os.getpid(), "key": secrets.token_hex()}
        self._text = json.dumps(holder).encode()
        self._generation, self.written = b"", 0.0  # of the last write; and its time.monotonic()
        self._one_at_a_time, self._over = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def take(self) -> None:
        """Waits until it is clear whether the holder is dead. Raises BadInput if it is alive."""
        seen = since = None
        while True:
            found = self._store.read(NAME).result()
            generation = found.stamp.generation
            stale = seen == generation and time.monotonic() - since > STALE
            if (found.state == "missing" or stale) and self._write(generation):
                break
            if seen is None and found.state != "missing":
                seen, since = generation, time.monotonic()
                _say(
                    f"{self._workdir} is locked by {_holder(found.value)}; if that is dead, this "
                    f"run begins in {STALE} s"
                )
            elif found.state != "missing" and generation != seen:
                raise _taken(self._workdir, f", {_holder(found.value)},")
            time.sleep(POLL)
        self._thread.start()

    def _write(self, generation: bytes) -> bool:
        """Writes the lock if its generation is still `generation`. Returns whether it did."""
        begun = time.monotonic()
        now = self._store.write(NAME, self._text, if_equal=generation).result().generation
        if not now:  # changed since, perhaps by our own write, whose answer was lost
            found = self._store.read(NAME).result()
            if found.value != self._text:
                return False
            now = found.stamp.generation
        self._generation, self.written = now, begun
        return True

    def refresh(self) -> None:
        """Writes the lock again; ends the process if another one holds it now."""
        with self._one_at_a_time:
            if self._over.is_set():
                return
            try:
                if self._write(self._generation):
                    return
            except ValueError:  # the next beat tries again; saving a checkpoint reports it
                return
            _end(f"another process has taken over {self._workdir}; this one writes no more there")

    def _beat(self) -> None:
        while not self._over.wait(BEAT):
            self.refresh()

    def release(self) -> None:
        with self._one_at_a_time:
            self._over.set()
            if time.monotonic() - self.written < 2 * BEAT:  # otherwise the bucket does not answer
                with contextlib.suppress(ValueError):  # it becomes stale
                    self._store.write(NAME, None, if_equal=self._generation).result()


def _holder(text: bytes) -> str:
    try:
        holder = documents.parse(text)
        return f"process {int(holder['process'])} on {str(holder['host'])[:80]!r}"
    except (ValueError, TypeError, KeyError):
        return "another process"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _end(line: str) -> None:
    """Ends the process, from any thread."""
    _say(line)
    hosts.leave(line, BadInput.code, together=False)
    os._exit(BadInput.code)


def _taken(workdir, holder: str = "") -> BadInput:
    return BadInput(
        f"--workdir: another process{holder} is training in {workdir}; wait, or use another one"
    )


@contextlib.contextmanager
def _trying(what: str, workdir):
    """Turns errors of a disk or a bucket inside it into BadInput.

    NotWritten where a bucket does not answer.
    """
    try:
        yield
    except Ending:
        raise
    except Exception as error:
        on_bucket = str(workdir).startswith("gs://")  # a bucket's clients raise many kinds
        if not isinstance(error, OSError) and not on_bucket:
            raise
        line = f"cannot {what} in {workdir} ({reason(error)})"
        if buckets.unavailable(error):
            raise NotWritten(f"{line}; the same command tries again") from error
        mend = f"is the bucket there, and have you {ROLE} on it?"
        mend = mend if on_bucket else "use another --workdir"
        raise BadInput(f"--workdir: {line}; {mend}") from error


def can_write(workdir) -> None:
    """Tries everything that a run does in its workdir, before anything is compiled.

    Raises as `alone_in`.
    """
    probe, text = workdir / "writable", secrets.token_hex()
    if hosts.first():
        with _trying("create a file", workdir):
            log.write_whole(probe, "")
        with _trying("overwrite a file", workdir):
            log.write_whole(probe, text)
        # each may be a link to a folder elsewhere; buckets have no links
        for name in () if "://" in str(workdir) else ("checkpoints", "tensorboard"):
            with _trying(f"make the folder {name}", workdir):
                (workdir / name).mkdir(exist_ok=True)
    hosts.share()
    with _trying("read a file", workdir):
        seen = hosts.share(probe.read_text() if probe.exists() else "")
    if hosts.first():
        with _trying("list the files", workdir):
            list(workdir.iterdir())
        with _trying("delete a file", workdir):
            probe.unlink()
    for process, answer in enumerate(seen):
        if answer != seen[0]:
            hosts.refuse(
                f"--workdir: {hosts.name(process)} does not see in {workdir} what process 0 "
                "wrote; use one that all share"
            )
