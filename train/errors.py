"""The one exception that stands for a mistake of the user's."""


class BadInput(ValueError):
    """A wrong key, value, file or combination: `python -m train` prints its one line and exits with code 2."""
