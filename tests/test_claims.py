"""Verdicts follow from intervals, and measures say what they are of."""

import dataclasses
import json

import numpy as np
import pytest
import scipy.stats

from configs import statistics
from configs.table import (
    Alike,
    AtBest,
    AtLeast,
    Better,
    Lower,
    Monotone,
    Ordered,
    Row,
    Scale,
    Solves,
    Stopped,
    Table,
    Until,
)
from scripts import table_runs
from train.errors import BadInput


def test_the_interval_of_a_mean_covers_the_truth_95_times_of_100():
    rng = np.random.default_rng(0)
    hits = sum(
        i.low < 3 < i.high for i in (statistics.mean(rng.normal(3, 2, 4)) for _ in range(4000))
    )
    assert 0.94 < hits / 4000 < 0.96


def test_a_difference_is_paired_by_seed_so_what_seeds_share_cancels():
    a, b = {0: 10.0, 1: 20.0, 2: 30.0}, {2: 29.0, 0: 9.1, 1: 18.9}
    i = statistics.paired(a, b)
    _, p = scipy.stats.ttest_rel([10, 20, 30], [9.1, 18.9, 29])
    assert i.count == 3 and i.low > 0.7 and p < 0.05 and i.mean == pytest.approx(1.0)


def table(*claims, measure="test/error", better="lower", rows="ab"):
    return Table(
        title="t",
        measure=measure,
        better=better,
        rows=tuple(map(Row, rows)),
        claims=claims,
        scales={"small": Scale("")},
    )


@pytest.mark.parametrize(
    ("b", "word"),
    [((9.0, 9.1, 8.9), "held"), ((12.0, 12.1, 11.9), "not held"), ((9.0, 11.0, 10.0), "undecided")],
)
def test_better_is_held_above_zero_not_held_below_and_undecided_across(b, word):
    claim = Better("b is better", row="b", than="a")
    values = dict(a=dict(enumerate((10.0, 10.2, 9.9))), b=dict(enumerate(b)))
    assert claim.verdict(values, table(claim)).word == word
    turned = dict(held="not held").get(word, "held" if word == "not held" else "undecided")
    assert claim.verdict(values, table(claim, better="higher")).word == turned


def test_one_seed_decides_nothing_and_a_row_that_was_not_run_has_no_verdict():
    claim = Better("b is better", row="b", than="a")
    assert claim.verdict(dict(a={0: 10.0}, b={0: 1.0}), table(claim)).word == "undecided"
    assert claim.verdict(dict(a={0: 10.0}), table(claim)).word == "not run"


def test_five_successes_of_five_do_not_yet_show_a_majority_but_six_do():
    claim = Solves("solves", row="a", level=1.0)
    for count, word in ((5, "undecided"), (6, "held")):
        assert claim.verdict(dict(a=dict.fromkeys(range(count), 1.0)), table(claim)).word == word
    fails = Solves("does not solve", row="a", level=1.0, solves=False)
    assert fails.verdict(dict(a=dict.fromkeys(range(6), 2.0)), table(fails)).word == "held"


def test_a_ratio_of_steps_is_judged_by_its_logarithm():
    measure = Until("train/error", 25.0)
    values = dict(a={0: 600.0, 1: 660.0, 2: 540.0}, b={0: 100.0, 1: 100.0, 2: 100.0})
    for by, word in ((None, "held"), (4.0, "held"), (9.0, "not held"), (6.0, "undecided")):
        claim = Better("six times faster", row="b", than="a", by=by)
        assert claim.verdict(values, table(claim, measure=measure)).word == word


def test_a_seed_that_never_came_there_counts_as_no_sooner_than_the_other_row_whose_run_was_longer():
    measure = Until("train/error", 25.0)
    claim = Better("b is twice as fast", row="b", than="a", by=2.0)
    never = dict(
        a=dict.fromkeys(range(3), AtLeast(2400.0)), b=dict.fromkeys(range(3), AtLeast(800.0))
    )
    assert claim.verdict(never, table(claim, measure=measure)).evidence.startswith("x 1 ")
    # b's runs ended before a's came there
    late = dict(a={k: 1000.0 + k for k in range(3)}, b=never["b"])
    assert claim.verdict(late, table(claim, measure=measure)).word == "not held"
    came = dict(a=never["a"], b={k: 700.0 + k for k in range(3)})
    assert claim.verdict(came, table(claim, measure=measure)).word == "held"


def test_what_is_but_a_lower_bound_refutes_no_large_ratio_and_shows_no_likeness():
    measure = Until("train/error", 25.0)
    never, came = dict.fromkeys(range(3), AtLeast(2400.0)), {k: 700.0 + k for k in range(3)}
    claim = Better("four times as fast", row="b", than="a", by=4.0)
    # 3.4 or any more
    assert claim.verdict(dict(a=never, b=came), table(claim, measure=measure)).word == "undecided"
    assert claim.verdict(dict(a=came, b=never), table(claim, measure=measure)).word == "not held"
    alike = Alike("as fast", row="a", than="b", within=0.1)
    assert alike.verdict(dict(a=never, b=never), table(alike, measure=measure)).word == "undecided"
    assert alike.verdict(dict(a=came, b=came), table(alike, measure=measure)).word == "held"


def test_a_seed_that_never_came_there_takes_a_ratio_and_what_the_sign_test_does_not_say_from_the_others():
    measure = Until("train/error", 25.0)
    slow = {k: 1000.0 for k in range(6)}
    # sooner with five seeds, no one knows how late with one
    fast = {k: 10.0 + k for k in range(5)} | {5: AtLeast(10000.0)}
    for by in (None, 6.0):
        claim = Better("b is faster", row="b", than="a", by=by)
        assert (
            claim.verdict(dict(a=slow, b=fast), table(claim, measure=measure)).word == "undecided"
        )
        assert (
            claim.verdict(dict(a=fast, b=slow), table(claim, measure=measure)).word == "undecided"
        )
    many = {k: 10.0 + k for k in range(9)} | {9: AtLeast(10000.0)}  # nine of ten are no chance
    claim = Better("b is faster", row="b", than="a")
    assert (
        claim.verdict(
            dict(a=dict.fromkeys(range(10), 1000.0), b=many), table(claim, measure=measure)
        ).word
        == "held"
    )


def test_a_run_that_ended_before_the_level_does_not_solve_it_however_short_it_was():
    claim, measure = Solves("solves", row="a"), Until("train/error", 25.0)
    for value, word in ((AtLeast(200.0), "not held"), (200.0, "held")):
        assert (
            claim.verdict(
                dict(a=dict.fromkeys(range(6), value)), table(claim, measure=measure)
            ).word
            == word
        )


def test_an_order_needs_every_pair_and_alike_needs_the_whole_interval_inside():
    low, mid, high = ({k: v + 0.01 * k * v for k in range(4)} for v in (1.0, 1.0, 2.0))
    ordered = Ordered("a before b before c", order=("a", "b", "c"))
    assert (
        ordered.verdict(dict(a=low, b=high, c=mid), table(ordered, rows="abc")).word == "not held"
    )
    half = ordered.verdict(dict(a=low, b=mid, c=high), table(ordered, rows="abc"))
    assert half.word == "undecided"  # one pair is held, the other is not decided
    alike = Alike("no difference", row="a", than="b", within=0.5)
    assert alike.verdict(dict(a=low, b=mid), table(alike)).word == "held"
    assert alike.verdict(dict(a=low, b=high), table(alike)).word == "not held"


def test_monotone_lets_neighbours_be_alike_but_none_reversed_and_the_ends_must_differ():
    same, more, most = (
        dict(enumerate((1.0, 1.2, 1.1, 0.9))),
        dict(enumerate((1.1, 1.0, 0.95, 1.2))),
        dict.fromkeys(range(4), 2.0),
    )
    claim = Monotone("the more the worse", order=("a", "b", "c"))
    for (a, b, c), word in (
        ((same, more, most), "held"),
        ((same, most, more), "not held"),
        ((same, more, same), "undecided"),
        ((most, more, same), "not held"),
    ):
        assert claim.verdict(dict(a=a, b=b, c=c), table(claim, rows="abc")).word == word
    reversed_ = claim.verdict(dict(a=same, b=most, c=more), table(claim, rows="abc"))
    assert "; but b against c -0.938 [" in reversed_.evidence  # what decided


def test_differences_that_agree_to_the_last_digit_decide_nothing_below_six_seeds():
    claim = Better("b is better", row="b", than="a")
    for count, word in ((2, "undecided"), (5, "undecided"), (6, "held")):
        values = dict(a=dict.fromkeys(range(count), 3.0), b=dict.fromkeys(range(count), 2.0))
        assert claim.verdict(values, table(claim)).word == word
    # equal but for the rounding of a subtraction
    values = dict(a={0: 10.1, 1: 20.3, 2: 30.4}, b={0: 10.0, 1: 20.2, 2: 30.3})
    assert claim.verdict(values, table(claim)).word == "undecided"
    assert claim.verdict(dict(a={0: 1.0}, b={1: 1.0}), table(claim)).evidence == "no seed in common"


def test_numbers_have_three_figures_and_thousands_as_such():
    assert [*map(statistics.number, (0.01234, 12.34, 999.4, 999.7, 12345.6))] == [
        "0.0123",
        "12.3",
        "999",
        "1,000",
        "12,346",
    ]


def test_two_measures_of_one_row_are_compared_seed_by_seed():
    claim = Lower("less of it inside", row="a", measure="inside/mse", than="onset/mse")
    assert table(claim).measures == ("test/error", "inside/mse", "onset/mse")
    inside, onset = {0: 0.1, 1: 0.2, 2: 0.15}, {0: 0.3, 1: 0.62, 2: 0.44}
    assert claim.verdict(dict(a=inside), table(claim), dict(a=onset)).word == "held"
    assert claim.verdict(dict(a=onset), table(claim), dict(a=inside)).word == "not held"
    assert claim.verdict(dict(a=inside), table(claim), {}).word == "not run"


def test_success_is_at_least_the_level_where_higher_is_better():
    claim = Solves("as good as that", row="a", level=0.9)
    values = dict(a=dict.fromkeys(range(6), 0.95))
    assert claim.verdict(values, table(claim, better="higher")).word == "held"
    assert claim.verdict(values, table(claim)).word == "not held"


def run_with(tmp_path, *records, **result):
    tmp_path.mkdir(parents=True, exist_ok=True)
    text = "".join(
        json.dumps(dict(step=step, split=split, error=error)) + "\n"
        for step, split, error in records
    )
    (tmp_path / "metrics.jsonl").write_text(text)
    return tmp_path, dict(seeds=[3, 5], steps=30) | result


def test_the_best_validation_step_is_each_seeds_own_and_what_is_reported_is_the_test_there(
    tmp_path,
):
    run = run_with(
        tmp_path,
        *(
            (10, "validation", [5.0, 9.0]),
            (10, "test", [6.0, 10.0]),
            (20, "validation", [7.0, 2.0]),
            (20, "test", [1.0, 8.0]),
        ),
        *((30, "validation", [8.0, None]), (30, "test", [0.5, 0.0])),
    )
    assert table_runs.values(AtBest("test/error", "validation/error"), *run) == {3: 6.0, 5: 8.0}
    assert table_runs.values("test/error", *run) == {3: 0.5, 5: 0.0}
    for by in ("test/error", "test_5_to_6/error", "train/error"):
        with pytest.raises(ValueError, match="no result is chosen by the test set"):
            AtBest("test/error", by)


def test_steps_to_a_level_or_to_the_stop_count_whole_runs_where_a_seed_never_came_there(tmp_path):
    run = run_with(
        tmp_path, (10, "train", [5.0, None]), (20, "train", [2.0, 9.0]), stopped=[17, None]
    )
    assert table_runs.values(Until("train/error", 5.0, examples=4), *run) == {3: 40.0, 5: 120.0}
    assert table_runs.values(Stopped(examples=2), *run) == {3: 34.0, 5: 60.0}
    # seed 3 was done before it came there
    early = table_runs.values(Until("train/error", 1.0), *run)
    assert early == {3: 17.0, 5: 30.0} and all(
        isinstance(value, AtLeast) for value in early.values()
    )


def test_a_seed_that_is_done_keeps_the_last_training_error_that_it_had(tmp_path):
    run = run_with(
        tmp_path, (10, "train", [5.0, 7.0]), (20, "train", [None, 4.0]), stopped=[10, None]
    )
    assert table_runs.values("train/error", *run) == {3: 5.0, 5: 4.0}


def test_a_last_value_that_is_no_number_is_not_replaced_by_an_earlier_one(tmp_path):
    run = run_with(
        tmp_path, (10, "test", [5.0, 7.0]), (20, "test", [None, 4.0]), stopped=[10, None]
    )
    values = table_runs.values("test/error", *run)
    assert np.isnan(values[3]) and values[5] == 4.0


def test_ensembles_judged_at_the_end_are_not_filled_with_what_single_seeds_had(tmp_path):
    run = run_with(tmp_path, (10, "test", [5.0, 7.0]), (30, "test", [None]))
    assert np.isnan(table_runs.values("test/error", *run)[3])


def test_the_best_step_is_refused_where_it_would_be_chosen_by_what_is_reported(tmp_path):
    # as ImageNet is
    judged = run_with(
        tmp_path / "a", (10, "validation", [5.0, 9.0]), (20, "validation", [7.0, 2.0])
    )
    apart = run_with(tmp_path / "b", (10, "validation", [5.0, 9.0]), (20, "test", [7.0, 2.0]))
    for run in (judged, apart):
        with pytest.raises(
            BadInput,
            match="test/error has no evaluations of its own beside those of validation/error",
        ):
            table_runs.values(AtBest("test/error", "validation/error"), *run)


def test_a_seed_that_came_there_in_its_last_step_is_not_one_that_never_did(tmp_path):
    t = dataclasses.replace(table(), measure=Stopped(), curve="train/error")
    origin = dict(
        device=dict(kind="cpu", count=1, cores=2),
        data=dict(source="generated", examples={}),
        versions=dict(jax="0", python="3"),
        finished="2026-01-01",
    )
    of_run = dict(
        metric="train/error",
        metrics={"train/error": dict(per_seed=[5.0, 2.0])},
        **dict(seconds=1.0, parameters=9, command="train", git=""),
        **origin,
    )
    run, result = run_with(
        tmp_path / "runs" / "a", (30, "train", [5.0, 2.0]), stopped=[30, None], **of_run
    )
    (run / "result.json").write_text(json.dumps(result))
    table_runs.enter(
        tmp_path / "table.py",
        t,
        table_runs.collect(tmp_path / "table.py", t, "small", tmp_path / "runs"),
    )
    came, never = table_runs.measured(
        table_runs.read(tmp_path), tmp_path / "table.py", "small", Stopped()
    )["a"].values()
    assert (
        (came, never) == (30, 30) and not isinstance(came, AtLeast) and isinstance(never, AtLeast)
    )
