"""One process alone trains in a workdir, and may write there."""

import contextlib
import fcntl
import os
import secrets

from train import hosts, log
from train.errors import BadInput, reason


@contextlib.contextmanager
def alone_in(workdir):
    """Makes the workdir, in process 0, and holds a lock on it where it is local. The system lets go
    of that whatever ends the process; buckets have none. Raises BadInput."""
    if not hosts.first():
        yield
        return
    file = workdir / "lock"
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        if os.path.islink(file):  # which would lock, or make, what it points to
            file.unlink()
        lock = (
            contextlib.nullcontext()
            if "://" in str(workdir)
            else open(file, "a", opener=log.follow_no_link)
        )
    except OSError as error:
        raise _not_writable(workdir, error) from None
    with lock as file:
        try:
            if file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # of another kind on a file system without locks, which goes without
        except OSError as error:
            if isinstance(error, BlockingIOError):
                raise BadInput(
                    f"--workdir: another process is training in {workdir}; wait, or use another one"
                ) from None
        yield


def _not_writable(workdir, error: OSError) -> BadInput:
    return BadInput(
        f"--workdir: cannot write in {workdir} ({reason(error)}); use another --workdir"
    )


def can_write(workdir) -> None:
    """Tries the workdir: noticed here, not after compiling. Raises BadInput."""
    probe = workdir / "writable"
    try:
        if hosts.first():
            log.write_whole(probe, secrets.token_hex())
            # each may be a link to a folder elsewhere; buckets have none
            for name in () if "://" in str(workdir) else ("checkpoints", "tensorboard"):
                (workdir / name).mkdir(exist_ok=True)
    except OSError as error:
        raise _not_writable(workdir, error) from None
    hosts.share()
    seen = hosts.share(probe.read_text() if probe.exists() else "")
    if hosts.first():
        probe.unlink()
    for process, text in enumerate(seen):
        if text != seen[0]:
            hosts.refuse(
                f"--workdir: {hosts.name(process)} does not see in {workdir} what process 0 "
                "wrote; have one that all share"
            )
