"""How a command ends: the exceptions that are one line and an exit code, never a traceback.

0 done; 2 bad input; 3 a number that is not finite; 74 a file could not be written; 75 interrupted, the same command goes on;
130 ended at once by Ctrl-C; 141 nobody reads its output.
"""

import os
import sys


class Ending(Exception):
    """Ends a command with its one line and its code."""

    code: int


class BadInput(Ending, ValueError):
    """A wrong key, value, file or combination."""

    code = 2


class Interrupted(Ending):
    """SIGTERM or Ctrl-C: what there was to save is saved."""

    code = 75  # EX_TEMPFAIL of sysexits.h: try again


def exit_with(main, command: str):
    """Ends the process with what main(arguments) returns, or as the Ending that it raises says; Ctrl-C: 130."""
    try:
        code = main(sys.argv[1:])
    except Ending as ending:
        print(f"{command}: {' '.join(str(ending).split())}", file=sys.stderr)
        code = ending.code
    except BrokenPipeError:  # who read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141  # as a process that SIGPIPE ended
    except KeyboardInterrupt:
        print(f"{command}: interrupted; what training has saved stays", file=sys.stderr)
        code = 130
    sys.exit(code)
