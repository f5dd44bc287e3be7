"""The one exception that stands for a mistake of the user's, and how a command ends with it."""

import sys


class BadInput(ValueError):
    """A wrong key, value, file or combination: a command prints its one line and exits with code 2."""


def exit_with(main, command: str):
    """Ends the process with what main(arguments) returns; BadInput: its one line and exit code 2; Ctrl-C: 130."""
    try:
        sys.exit(main(sys.argv[1:]))
    except BadInput as error:
        print(f"{command}: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"{command}: interrupted; what training has saved stays", file=sys.stderr)
        sys.exit(130)
