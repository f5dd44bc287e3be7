"""How a command ends: exceptions that become one line and an exit code, never a traceback.

0 done; 2 bad input, or too little memory; 3 a number that is not finite; 69 another process is
gone (hosts.py); 74 a file could not be written or read; 75 interrupted, the same command resumes;
130 ended at once by Ctrl-C; 141 nobody reads its output.
"""

import argparse
import contextlib
import os
import re
import sys
import traceback

from train import buckets, escapes


class Ending(Exception):
    """Ends a command with one line and an exit code."""

    code: int
    together = False  # whether each of several processes raises it


class BadInput(Ending, ValueError):
    """A wrong key, value, file or combination."""

    code = 2


class NonFinite(Ending):
    """The loss or its gradient became infinite or NaN; the last good checkpoint is kept."""

    code = 3
    together = True


class NotWritten(Ending):
    """The disk is full, gone or failing; what was written before is kept."""

    code = 74  # EX_IOERR of sysexits.h


class NotRead(Ending):
    """A file cannot be read for now, which does not mean that it is damaged."""

    code = 74


@contextlib.contextmanager
def writing_in(folder, after: str = "; the newest checkpoint is as it was"):
    """Turns the system's errors inside it into NotWritten; `after` says what is still there."""
    try:
        yield
    except (Ending, BrokenPipeError):  # an Ending has its line; without a reader none is needed
        raise
    except Exception as error:
        if not isinstance(error, OSError) and not buckets.raised(error):
            raise
        raise NotWritten(f"cannot write in {folder} ({reason(error)}){after}") from error


class Parser(argparse.ArgumentParser):
    """A parser with one-line errors, no abbreviated flags and the description as it is written."""

    def __init__(self, command: str, description: str):
        form = argparse.RawDescriptionHelpFormatter
        super().__init__(
            prog=command, description=description, formatter_class=form, allow_abbrev=False
        )

    def error(self, message):
        raise BadInput(message)


class Interrupted(Ending):
    """SIGTERM or Ctrl-C: everything worth saving has been saved."""

    code = 75  # EX_TEMPFAIL of sysexits.h: try again
    together = True


def reason(error: BaseException) -> str:
    """What went wrong, in one short line.

    The system's own words, where the error or one of its causes is an error of the system.
    """
    cause = error
    while cause and not (isinstance(cause, OSError) and cause.strerror):
        cause = cause.__cause__ or cause.__context__
    if cause:
        return cause.strerror
    number = re.search(r"os_error_code='(\d+)'", str(error))  # as tensorstore writes it
    if number:
        return os.strerror(int(number[1]))
    line = " ".join(str(error).partition(" [")[0].split())[:200]
    return line or ("no answer" if isinstance(error, TimeoutError) else type(error).__name__)


def exit_with(main, command: str):
    """Ends the process with the code of main(arguments) or of the Ending it raises; Ctrl-C: 130."""
    from train import hosts, streams

    streams.claim()
    line, together, bucket = "", True, False
    try:
        try:
            code = main(sys.argv[1:])
        except SystemExit as ending:  # from --help
            code = ending.code or 0
        sys.stdout.flush()  # here, so that a failed write is noticed
    except Ending as ending:
        hosts.blame(ending)  # a save may also fail because another process is gone
        line, code, together = escapes.plain(ending), ending.code, ending.together
        bucket = buckets.raised(ending)
        print(f"{command}: {line}", file=sys.stderr)
    except BrokenPipeError:  # the reader has stopped reading: ends like a process killed by SIGPIPE
        line, code, together = "nobody reads its output", 141, False
    except KeyboardInterrupt:
        line, code, together = "interrupted; what training has saved stays", 130, False
        print(f"{command}: {line}", file=sys.stderr)
    except Exception as error:
        hosts.blame(error)
        said, together = " ".join(str(error).split()), False
        if bucket := buckets.raised(error):
            line, code = f"a server does not answer ({reason(error)}); try again", NotRead.code
            print(f"{command}: {line}", file=sys.stderr)
        elif isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in said:  # XLA's error
            line, code = (
                f"out of memory ({said[:200]}); use a smaller batch, model, or number of seeds, "
                "or model.remat",
                2,
            )
            print(f"{command}: {line}", file=sys.stderr)
        else:
            traceback.print_exc()
            line, code = f"{type(error).__name__}: {said[:500]}", 1
    streams.give_up()
    hosts.leave(line, code, together=together)
    if bucket:  # threads of its clients would still wait, and print tracebacks
        os._exit(code)
    sys.exit(code)
