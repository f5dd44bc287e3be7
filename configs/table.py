"""How a paper's table is written down: Table, Row, Claim. Its own numbers are in the file, ours in results.csv beside it.

A measure is what a row is judged by, one number a seed: a metric of the run's last step such as "test/error";
`AtBest("test/error", "validation/error")`, the same of the step whose validation error was lowest;
`Until("train/error", 25.0)`, the training steps until that metric of the log first was at most 25; or `Stopped()`, those until
the stop rule of the run was met. There is none for the best epoch on the test set.
"""

import abc
import dataclasses
from collections.abc import Mapping

from ml_collections import ConfigDict

from configs import base, statistics
from configs.statistics import Verdict
from train.errors import BadInput


class Steps:
    """A measure that is a number of training steps, of which fewer are better and ratios count.

    examples: how many make a step, if the measure is to be in those (sequences) and not in steps.
    """

    examples: int
    unit: str


@dataclasses.dataclass(frozen=True)
class Until(Steps):
    """Steps until `metric` of metrics.jsonl first was at most `level`; a seed that never came there counts with all of them."""

    metric: str
    level: float
    examples: int = 1
    unit: str = "steps"

    def __str__(self):
        return f"{self.unit} to {self.metric} <= {self.level:g}"


@dataclasses.dataclass(frozen=True)
class Stopped(Steps):
    """Steps until a seed was done by the run's stop rule (the config's section `stop`); one that never was counts with all."""

    examples: int = 1
    unit: str = "steps"

    def __str__(self):
        return f"{self.unit} to the stop"


@dataclasses.dataclass(frozen=True)
class AtBest:
    """`metric` in the evaluation in which `by`, of a split held out of training, was lowest, as in papers that stop early."""

    metric: str
    by: str

    def __post_init__(self):
        if self.by.split("/")[0] in ("train", "test"):
            raise ValueError(f"by: {self.by!r} must be a metric of a validation split: no result is chosen by the test set")

    def __str__(self):
        return f"{self.metric} at the lowest {self.by}"


Measure = str | AtBest | Until | Stopped


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of a paper's table: what it changes, and what the paper printed (in the table's measure).

    of: an earlier row that it goes on from: it has that row's changes and, under these, the last checkpoint and log of it. With
    other data.views it only evaluates; with more optim.steps it trains on. `scripts.sweep` hands the checkpoint over: as a run
    of its own, python -m train --config=TABLE.py:SCALE/ROW, it begins at step 0.
    """

    name: str
    changes: Mapping[str, object] = dataclasses.field(default_factory=dict)
    paper: float | str | None = None
    parameters: int | None = None  # of the paper's network, at the scale "paper", where the paper prints or implies it
    of: str | None = None


@dataclasses.dataclass(frozen=True)
class Scale:
    """A size at which the table can be run: the paper's, or a smaller one.

    rows: row -> changes that only this scale needs, such as another depth. without: rows that are not run at it, and so no rows
    that go on from them. about: data, size and schedule in a line.
    """

    about: str
    changes: Mapping[str, object] = dataclasses.field(default_factory=dict)
    rows: Mapping[str, Mapping[str, object]] = dataclasses.field(default_factory=dict)
    without: tuple[str, ...] = ()
    seeds: int = 3


@dataclasses.dataclass(frozen=True)
class Claim(abc.ABC):
    """What the paper says of its rows, in `says`, with the place. notes: scale -> why it does not hold there."""

    says: str
    measure: Measure | None = dataclasses.field(default=None, kw_only=True)  # None: the table's
    notes: Mapping[str, str] = dataclasses.field(default_factory=dict, kw_only=True)

    @abc.abstractmethod
    def rows(self) -> tuple[str, ...]:
        """The rows that it is about."""

    def measures(self, table: "Table") -> tuple[Measure, ...]:
        """What it is judged by."""
        return (self.measure or table.measure,)

    def verdict(self, values: Mapping[str, Mapping[int, float]], table: "Table", *others: Mapping) -> Verdict:
        """values: row -> {seed: value}, of the rows that were run; others: the same of its other measures. Raises nothing."""
        missing = [row for row in self.rows() if not all(of.get(row) for of in (values, *others))]
        return Verdict("not run", f"no run of {', '.join(missing)}") if missing else self.judge(values, table, *others)

    @abc.abstractmethod
    def judge(self, values, table, *others) -> Verdict:
        """The verdict, where all its rows were run."""

    def difference(self, values, table, row: str, than: str) -> statistics.Interval:
        """By how much `row` is better, paired over seeds; of steps, the logarithm of the ratio."""
        steps = self.of_steps(table)
        first, second = (than, row) if table.better == "lower" or steps else (row, than)
        return statistics.paired(values[first], values[second], logarithm=steps)

    def of_steps(self, table) -> bool:
        return isinstance(self.measure or table.measure, Steps)


@dataclasses.dataclass(frozen=True)
class Better(Claim):
    """`row` is better than `than`, by more than `by` (of steps: in fewer, by a ratio of more than `by`)."""

    row: str = dataclasses.field(kw_only=True)
    than: str = dataclasses.field(kw_only=True)
    by: float | None = dataclasses.field(default=None, kw_only=True)

    def rows(self):
        return self.row, self.than

    def judge(self, values, table):
        return statistics.above(self.difference(values, table, self.row, self.than), self.by, ratio=self.of_steps(table))


@dataclasses.dataclass(frozen=True)
class Ordered(Claim):
    """Each of `order`, best first, is better than the next."""

    order: tuple[str, ...] = dataclasses.field(kw_only=True)

    def rows(self):
        return self.order

    def judge(self, values, table):
        return statistics.all_of(self.neighbours(values, table))

    def neighbours(self, values, table) -> list[Verdict]:
        pairs, ratio = zip(self.order, self.order[1:], strict=False), self.of_steps(table)
        return [statistics.above(self.difference(values, table, *pair), None, ratio=ratio) for pair in pairs]


@dataclasses.dataclass(frozen=True)
class Monotone(Ordered):
    """The rows of `order`, best first, differ in a hyper-parameter, and the further along it the worse: no row is better than
    the one before beyond doubt, and the last is worse than the first. Neighbours may be alike, where `Ordered` allows none."""

    def judge(self, values, table):
        ends = self.difference(values, table, self.order[0], self.order[-1])
        whole = statistics.above(ends, None, ratio=self.of_steps(table))
        reversed_ = any(v.word == statistics.NOT_HELD for v in self.neighbours(values, table))
        return Verdict(statistics.NOT_HELD if reversed_ else whole.word, f"first against last {whole.evidence}")


@dataclasses.dataclass(frozen=True)
class Lower(Claim):
    """Of `row`, `measure` is lower than the measure `than`, by a ratio of more than `by` if that is given."""

    row: str = dataclasses.field(kw_only=True)
    than: Measure = dataclasses.field(kw_only=True)
    by: float | None = dataclasses.field(default=None, kw_only=True)

    def rows(self):
        return (self.row,)

    def measures(self, table):
        return self.measure or table.measure, self.than

    def judge(self, values, table, than):
        ratio = self.by is not None
        return statistics.above(statistics.paired(than[self.row], values[self.row], logarithm=ratio), self.by, ratio=ratio)


@dataclasses.dataclass(frozen=True)
class Alike(Claim):
    """`row` and `than` differ by less than `within`, whichever is better."""

    row: str = dataclasses.field(kw_only=True)
    than: str = dataclasses.field(kw_only=True)
    within: float = dataclasses.field(kw_only=True)

    def rows(self):
        return self.row, self.than

    def judge(self, values, table):
        return statistics.inside(self.difference(values, table, self.row, self.than), self.within)


@dataclasses.dataclass(frozen=True)
class Solves(Claim):
    """More than `share` of the seeds of `row` have a value of at most `level` (at least, where higher is better); with
    solves=False, fewer than that."""

    row: str = dataclasses.field(kw_only=True)
    level: float = dataclasses.field(kw_only=True)
    share: float = dataclasses.field(default=0.5, kw_only=True)
    solves: bool = dataclasses.field(default=True, kw_only=True)

    def rows(self):
        return (self.row,)

    def judge(self, values, table):
        lower = table.better == "lower" or self.of_steps(table)
        right = [value <= self.level if lower else value >= self.level for value in values[self.row].values()]
        return statistics.share(right, self.share, above=self.solves)


@dataclasses.dataclass(frozen=True)
class Table:
    """A table or figure of a paper. title: paper, table and reference; says: what it is about, in a line or two."""

    title: str
    measure: Measure
    rows: tuple[Row, ...]
    scales: Mapping[str, Scale]
    claims: tuple[Claim, ...] = ()
    base: Mapping[str, object] = dataclasses.field(default_factory=dict)
    better: str = "lower"
    curve: str | None = None  # the metric of metrics.jsonl that is drawn against the step; None: that of the measure
    figures: tuple[str, ...] = ()  # more of them, of scripts.table_figure.FIGURES
    says: str = ""

    def __post_init__(self):
        names = [row.name for row in self.rows]
        unknown = {row for claim in self.claims for row in claim.rows()}
        unknown |= {row for scale in self.scales.values() for row in (*scale.rows, *scale.without)}
        unknown -= set(names)
        unknown |= {row.of for k, row in enumerate(self.rows) if row.of and row.of not in names[:k]}
        if unknown or len(set(names)) < len(names) or any("," in name or "/" in name for name in names):
            raise ValueError(
                f"rows: {sorted(unknown) or names} must be different names of rows without , and /, before their use"
            )
        if isinstance(self.measure, Stopped) and not self.curve:
            raise ValueError("curve: a table that is measured by the stop has no metric of its own to draw; name one")

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The table's, and those of its claims."""
        return tuple(dict.fromkeys([self.measure, *(m for claim in self.claims for m in claim.measures(self))]))

    def row(self, name: str) -> Row:
        """Raises BadInput for a name that no row has."""
        for row in self.rows:
            if row.name == name:
                return row
        raise BadInput(f"row: unknown {name!r}; have {', '.join(row.name for row in self.rows)}")

    def scale(self, name: str) -> Scale:
        """Raises BadInput for a name that no scale has."""
        if name not in self.scales:
            raise BadInput(f"scale: unknown {name!r}; have {', '.join(self.scales)}")
        return self.scales[name]

    def config(self, row: str, scale: str) -> ConfigDict:
        """The locked config of a row: the defaults, then the base, the scale, the row, and the row of the scale.

        Raises BadInput for a row that the scale does not have.
        """
        chosen, changes = self.scale(scale), {**self.base, **self.scale(scale).changes}
        if row not in self.names(scale):
            raise BadInput(f"row: {self.row(row).name!r} is not run at scale {scale!r}; have {', '.join(self.names(scale))}")
        for name in self.line(row):
            changes |= {**self.row(name).changes, **chosen.rows.get(name, {})}
        return base.override(base.get_config(), {"seeds": tuple(range(chosen.seeds)), **changes})

    def line(self, row: str) -> list[str]:
        """The rows that a row goes on from, first the one that begins at step 0, and the row itself."""
        before = self.row(row).of
        return [*(self.line(before) if before else []), row]

    def names(self, scale: str) -> list[str]:
        """The rows that are run at a scale, in order."""
        without = set(self.scale(scale).without)
        return [row.name for row in self.rows if not without & set(self.line(row.name))]

    def get_config(self, argument: str = "") -> ConfigDict:
        """Of "SCALE/ROW", the name of a single run: python -m train --config=TABLE.py:small/ROW."""
        scale, _, row = argument.partition("/")
        return self.config(row, scale)
