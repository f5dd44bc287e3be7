"""Claims: what a paper says about the rows of a table, and how our values decide it.

`table` is the configs.table.Table.
"""

import abc
import dataclasses
import itertools
import math
from collections.abc import Mapping

from configs import statistics
from configs.measures import AtLeast, Measure, Steps
from configs.statistics import Verdict


@dataclasses.dataclass(frozen=True)
class Claim(abc.ABC):
    """What the paper says about its rows, in `says`, with the place.

    notes: scale -> what to add to the verdict there, above all why the claim does not hold.
    """

    says: str
    measure: Measure | None = dataclasses.field(default=None, kw_only=True)  # None: the table's
    notes: Mapping[str, str] = dataclasses.field(default_factory=dict, kw_only=True)

    @abc.abstractmethod
    def rows(self) -> tuple[str, ...]:
        """The rows that the claim is about."""

    def measures(self, table) -> tuple[Measure, ...]:
        """The measures that judge the claim."""
        return (self.measure or table.measure,)

    def verdict(
        self, values: Mapping[str, Mapping[int, float]], table, *others: Mapping
    ) -> Verdict:
        """The verdict, also where rows are missing. Raises nothing.

        values: row -> {seed: value}, for the rows that were run; others: the same for its other
        measures.
        """
        missing = [row for row in self.rows() if not all(of.get(row) for of in (values, *others))]
        return (
            Verdict("not run", f"no run of {', '.join(missing)}")
            if missing
            else self.judge(values, table, *others)
        )

    @abc.abstractmethod
    def judge(self, values, table, *others) -> Verdict:
        """The verdict, given that all its rows were run."""

    def difference(self, values, table, row: str, than: str) -> statistics.Interval:
        """By how much `row` is better, paired over seeds; for steps, the logarithm of the ratio.

        Where runs end at different steps, a seed that never reached the level counts as reaching
        it no sooner than the other row's seed.
        """
        steps = self.of_steps(table)
        first, second = (than, row) if table.better == "lower" or steps else (row, than)
        a, b = values[first], values[second]
        return statistics.paired(_no_sooner(a, b), _no_sooner(b, a), logarithm=steps)

    def ahead(self, values, table, row: str, than: str, by: float | None = None) -> Verdict:
        """Whether `row` is better, by more than `by`.

        If a seed never reached the level, it is unknown how much later it would have. So if the
        other row's seed did reach it, a verdict for the row whose seed did not also needs the sign
        test over all seeds; and there is no verdict on a ratio.
        """
        verdict = statistics.above(
            self.difference(values, table, row, than), by, ratio=self.of_steps(table)
        )
        ahead, behind = (row, than) if verdict.word == statistics.HELD else (than, row)
        a, b = values[ahead], values[behind]
        if by:
            return _unless_bounds(verdict, verdict.word, a)
        seeds = a.keys() & b.keys()
        if verdict.word != statistics.UNDECIDED and any(
            _never(a[s]) and not _never(b[s]) for s in seeds
        ):
            first, second = _no_sooner(a, b), _no_sooner(b, a)
            sooner, later = (
                sum(x[s] < y[s] for s in seeds) for x, y in ((first, second), (second, first))
            )
            if not statistics.agree(sooner, later):
                return dataclasses.replace(verdict, word=statistics.UNDECIDED)
        return verdict

    def of_steps(self, table) -> bool:
        return isinstance(self.measure or table.measure, Steps)


def _never(value: float) -> bool:
    return isinstance(value, AtLeast)


def _no_sooner(values: Mapping[int, float], others: Mapping[int, float]) -> dict[int, float]:
    return {k: max(v, others.get(k, v)) if _never(v) else v for k, v in values.items()}


def _unless_bounds(verdict: Verdict, word: str, *rows: Mapping[int, float]) -> Verdict:
    """Undecided in place of `word` where a seed of these rows never reached the level.

    Only a lower bound of such a seed is known.
    """
    never = any(_never(value) for values in rows for value in values.values())
    return (
        dataclasses.replace(verdict, word=statistics.UNDECIDED)
        if never and verdict.word == word
        else verdict
    )


@dataclasses.dataclass(frozen=True)
class Better(Claim):
    """`row` is better than `than`, by more than `by`.

    For steps: it takes fewer, by a ratio of more than `by`.
    """

    row: str = dataclasses.field(kw_only=True)
    than: str = dataclasses.field(kw_only=True)
    by: float | None = dataclasses.field(default=None, kw_only=True)

    def rows(self):
        return self.row, self.than

    def judge(self, values, table):
        return self.ahead(values, table, self.row, self.than, self.by)


@dataclasses.dataclass(frozen=True)
class Ordered(Claim):
    """Each of `order`, best first, is better than the next."""

    order: tuple[str, ...] = dataclasses.field(kw_only=True)

    def rows(self):
        return self.order

    def judge(self, values, table):
        return statistics.all_of(self.neighbours(values, table))

    def neighbours(self, values, table) -> list[Verdict]:
        return [self.ahead(values, table, *pair) for pair in itertools.pairwise(self.order)]


@dataclasses.dataclass(frozen=True)
class Monotone(Ordered):
    """The rows of `order`, best first, get worse along a hyper-parameter.

    No row is better than the one before beyond doubt, and the last is worse than the first.
    Neighbours may be alike, which `Ordered` does not allow.
    """

    def judge(self, values, table):
        whole = self.ahead(values, table, self.order[0], self.order[-1])
        evidence, word = f"first against last {whole.evidence}", whole.word
        for pair, verdict in zip(
            itertools.pairwise(self.order), self.neighbours(values, table), strict=True
        ):
            if verdict.word == statistics.NOT_HELD:
                evidence, word = (
                    f"{evidence}; but {' against '.join(pair)} {verdict.evidence}",
                    verdict.word,
                )
        return Verdict(word, evidence)


@dataclasses.dataclass(frozen=True)
class Lower(Claim):
    """In `row`, `measure` is lower than the measure `than`."""

    row: str = dataclasses.field(kw_only=True)
    than: Measure = dataclasses.field(kw_only=True)

    def rows(self):
        return (self.row,)

    def measures(self, table):
        return self.measure or table.measure, self.than

    def judge(self, values, table, than):
        return statistics.above(
            statistics.paired(than[self.row], values[self.row]), None, ratio=False
        )


@dataclasses.dataclass(frozen=True)
class Alike(Claim):
    """`row` and `than` differ by less than `within`, whichever is better.

    For steps, the logarithm of their ratio does.
    """

    row: str = dataclasses.field(kw_only=True)
    than: str = dataclasses.field(kw_only=True)
    within: float = dataclasses.field(kw_only=True)

    def rows(self):
        return self.row, self.than

    def judge(self, values, table):
        verdict = statistics.inside(
            self.difference(values, table, self.row, self.than), self.within
        )
        return _unless_bounds(verdict, statistics.HELD, *(values[row] for row in self.rows()))


@dataclasses.dataclass(frozen=True)
class Solves(Claim):
    """More than `share` of the seeds of `row` have a value of at most `level`.

    At least `level`, where higher is better. With solves=False, fewer seeds than that. For a
    measure in steps the default level is the end of the run: the seeds reached it at all.
    """

    row: str = dataclasses.field(kw_only=True)
    level: float = dataclasses.field(default=math.inf, kw_only=True)
    share: float = dataclasses.field(default=0.5, kw_only=True)
    solves: bool = dataclasses.field(default=True, kw_only=True)

    def rows(self):
        return (self.row,)

    def judge(self, values, table):
        lower = table.better == "lower" or self.of_steps(table)
        came = [value for value in values[self.row].values() if not _never(value)]
        right = sum(value <= self.level if lower else value >= self.level for value in came)
        return statistics.share(right, len(values[self.row]), self.share, above=self.solves)
