"""Intervals over seeds, and what they decide. All are 95% intervals."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
import scipy.stats

CONFIDENCE = 0.95
# seeds that must all differ in the same direction for a sign test to reach CONFIDENCE
SIGN_TEST = 6
HELD, NOT_HELD, UNDECIDED = "held", "not held", "undecided"


@dataclasses.dataclass(frozen=True)
class Interval:
    """A mean and its confidence interval over `count` seeds; endless for one seed."""

    mean: float
    low: float
    high: float
    count: int


@dataclasses.dataclass(frozen=True)
class Verdict:
    """word: one of the three above, or why there is none; evidence: the numbers behind it."""

    word: str
    evidence: str


def mean(values: Sequence[float]) -> Interval:
    """Student's t interval of the mean."""
    x = np.asarray(values, np.float64)
    if len(x) < 2 or not np.isfinite(x).all():
        return Interval(float(x.mean()), -math.inf, math.inf, len(x))
    half = scipy.stats.t.ppf(0.5 + CONFIDENCE / 2, len(x) - 1) * x.std(ddof=1) / math.sqrt(len(x))
    return Interval(float(x.mean()), float(x.mean() - half), float(x.mean() + half), len(x))


def paired(a: Mapping[int, float], b: Mapping[int, float], *, logarithm: bool = False) -> Interval:
    """The interval of a - b, or with `logarithm` of log(a / b), over the seeds that both have.

    Endless where all differences are equal, unless they are SIGN_TEST or more: values that are
    checked at intervals, such as steps, agree by chance.
    """
    seeds = sorted(a.keys() & b.keys())
    if not seeds:
        return Interval(math.nan, -math.inf, math.inf, 0)
    x, y = (np.array([values[seed] for seed in seeds], np.float64) for values in (a, b))
    interval = mean(np.log(x / y) if logarithm else x - y)
    # from subtracting what was printed
    rounding = 1e-9 * (1.0 if logarithm else max(np.abs(x).max(), np.abs(y).max()))
    if interval.high - interval.low <= rounding < abs(interval.mean) and interval.count < SIGN_TEST:
        return dataclasses.replace(interval, low=-math.inf, high=math.inf)
    return interval


def above(difference: Interval, by: float | None, *, ratio: bool) -> Verdict:
    """Held if the interval lies above `by`, not held if it lies below.

    ratio: the interval is that of a logarithm, and `by` is a ratio.
    """
    if ratio:
        bound = math.log(by or 1.0)
        evidence = "x " + _show(
            Interval(
                *map(_exp, (difference.mean, difference.low, difference.high)), difference.count
            )
        )
    else:
        bound, evidence = by or 0.0, _show(difference)
    word = HELD if difference.low > bound else NOT_HELD if difference.high < bound else UNDECIDED
    return Verdict(word, evidence)


def inside(difference: Interval, within: float) -> Verdict:
    """Held if the interval lies within -within to within, not held if it lies outside."""
    outside = difference.low > within or difference.high < -within
    word = (
        HELD
        if -within < difference.low and difference.high < within
        else NOT_HELD
        if outside
        else UNDECIDED
    )
    return Verdict(word, _show(difference))


def agree(sooner: int, later: int) -> bool:
    """Whether the two orders are more unequal than by chance: the two-sided sign test.

    sooner, later: how many pairs have the one order and the other.
    """
    return scipy.stats.binomtest(sooner, sooner + later).pvalue < 1 - CONFIDENCE


def share(right: int, trials: int, bound: float, *, above: bool) -> Verdict:
    """Whether more (or fewer) than `bound` of the trials are right.

    By Clopper and Pearson's exact interval.
    """
    interval = scipy.stats.binomtest(right, trials).proportion_ci(CONFIDENCE, method="exact")
    more, fewer = interval.low > bound, interval.high < bound
    held, not_held = (more, fewer) if above else (fewer, more)
    word = HELD if held else NOT_HELD if not_held else UNDECIDED
    return Verdict(word, f"{right} of {trials} [{interval.low:.0%}, {interval.high:.0%}]")


def all_of(verdicts: Sequence[Verdict]) -> Verdict:
    """Held if all are, not held if one is not, else undecided."""
    words = [v.word for v in verdicts]
    word = NOT_HELD if NOT_HELD in words else HELD if set(words) == {HELD} else UNDECIDED
    return Verdict(word, "; ".join(v.evidence for v in verdicts))


def _exp(x: float) -> float:
    return math.inf if x > 700 else math.exp(x)


def _show(i: Interval) -> str:
    if i.count < 2:
        return f"{number(i.mean)}, one seed" if i.count else "no seed in common"
    return f"{number(i.mean)} [{number(i.low)}, {number(i.high)}], N={i.count}"


def number(x: float) -> str:
    """Three figures, with a comma for thousands: 0.0123, 12.3, 12,345."""
    if not math.isfinite(x):
        return str(x)
    return f"{x:,.0f}" if abs(x) >= 999.5 else f"{x:.3g}"
