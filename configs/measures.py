"""Measures: what a row of a table is judged by, one number per seed.

A metric of the run's last step such as "test/error"; `AtBest("test/error", "validation/error")`,
the same at the step whose validation error was lowest; `Until("train/error", 25.0)`, the training
steps until that metric of the log first was at most 25; or `Stopped()`, the steps until the run's
stop rule was met. There is no measure for the best epoch on the test set.
"""

import dataclasses


class Steps:
    """A measure that is a number of training steps: fewer are better, and ratios count.

    examples: how many make a step, if the measure counts examples (sequences) and not steps.
    """

    examples: int
    unit: str


class AtLeast(float):
    """The value of a seed that never reached the level: a lower bound.

    For a measure in steps it is the number of all steps of its run.
    """


@dataclasses.dataclass(frozen=True)
class Until(Steps):
    """Steps until `metric` of metrics.jsonl first was at most `level`.

    A seed that never reached the level counts with all its steps.
    """

    metric: str
    level: float
    examples: int = 1
    unit: str = "steps"

    def __str__(self):
        return f"{self.unit} to {self.metric} <= {self.level:g}"


@dataclasses.dataclass(frozen=True)
class Stopped(Steps):
    """Steps until a seed was done by the run's stop rule (the config's section `stop`).

    A seed that never was done counts with all its steps.
    """

    examples: int = 1
    unit: str = "steps"

    def __str__(self):
        return f"{self.unit} to the stop"


@dataclasses.dataclass(frozen=True)
class AtBest:
    """`metric` in the evaluation in which `by` was lowest, as in papers that stop early.

    `by` is a metric of a split held out of training.
    """

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
