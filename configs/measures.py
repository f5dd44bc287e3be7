"""Measures: what a row of a table is judged by, one number a seed.

A metric of the run's last step such as "test/error"; `AtBest("test/error", "validation/error")`,
the same of the step whose validation error was lowest; `Until("train/error", 25.0)`, the training
steps until that metric of the log first was at most 25; or `Stopped()`, those until the stop rule
of the run was met. There is none for the best epoch on the test set.
"""

import dataclasses


class Steps:
    """A measure that is a number of training steps, of which fewer are better and ratios count.

    examples: how many make a step, if the measure is to be in those (sequences) and not in steps.
    """

    examples: int
    unit: str


class AtLeast(float):
    """The value of a seed that never came there: of a measure in steps, all of its run's, a lower
    bound."""


@dataclasses.dataclass(frozen=True)
class Until(Steps):
    """Steps until `metric` of metrics.jsonl first was at most `level`; a seed that never came there
    counts with all of its."""

    metric: str
    level: float
    examples: int = 1
    unit: str = "steps"

    def __str__(self):
        return f"{self.unit} to {self.metric} <= {self.level:g}"


@dataclasses.dataclass(frozen=True)
class Stopped(Steps):
    """Steps until a seed was done by the run's stop rule (the config's section `stop`); one that
    never was counts with all."""

    examples: int = 1
    unit: str = "steps"

    def __str__(self):
        return f"{self.unit} to the stop"


@dataclasses.dataclass(frozen=True)
class AtBest:
    """`metric` in the evaluation in which `by`, of a split held out of training, was lowest, as in
    papers that stop early."""

    metric: str
    by: str

    def __post_init__(self):
        if self.by.startswith(("train/", "test")):
            raise ValueError(
                f"by: {self.by!r} must be a metric of a validation split: no result is chosen by "
                "the test set"
            )

    def __str__(self):
        return f"{self.metric} at the lowest {self.by}"


Measure = str | AtBest | Until | Stopped
