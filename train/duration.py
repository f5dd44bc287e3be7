"""Durations: a number of steps, or text like "3 epochs"."""

import re
from collections.abc import Callable

from train.errors import BadInput

Duration = int | str


def resolver(steps_per_epoch: float | None) -> Callable[[str, Duration], float]:
    """A function (key, duration) -> steps, not rounded: an epoch need not be whole steps.

    steps_per_epoch is None where data is generated without end and has no epoch. Raises BadInput,
    naming the key.
    """

    def steps(key: str, duration: Duration) -> float:
        if isinstance(duration, int) and not isinstance(duration, bool) and duration >= 0:
            return float(duration)
        match = (
            re.fullmatch(r"(\d+(?:\.\d+)?) ?(steps?|epochs?)", duration)
            if isinstance(duration, str)
            else None
        )
        if not match:
            raise BadInput(
                f"{key}: {duration!r} is no duration; write steps as 1000 or epochs as '3 epochs'"
            )
        if match[2].startswith("step"):
            return float(match[1])
        if steps_per_epoch is None:
            raise BadInput(
                f"{key}: {duration!r}, but generated data has no epochs; write steps, such as 1000"
            )
        return float(match[1]) * steps_per_epoch

    return steps


def next_due(step: int, every: float) -> int:
    """The first step after `step` that is a multiple of `every`, rounded to a whole step."""
    multiple = int(step / every)
    while round(multiple * every) <= step:
        multiple += 1
    return round(multiple * every)


def is_due(step: int, every: float) -> bool:
    """Whether a step after the first is a multiple of `every`, rounded to a whole step."""
    return step > 0 and next_due(step - 1, every) == step
