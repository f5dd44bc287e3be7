"""Long short-term memory, experiment 3: noise and signal on one input. Hochreiter & Schmidhuber
1997, tables 4 to 6.

Run:   python -m scripts.sweep configs/papers/lstm1997/two_sequence.py --scale=paper

ST1: none of 256 test sequences is wrong, in 3b fewer than 6 (2.3%). ST2: the mean absolute error is
below 0.01 too, in 3b 0.04; here that alone, as a run has one stop rule, so it may come before ST1.
3c stops where the mean difference from the targets without noise is below 0.015, and in the paper
where none is above 0.1 too. Here all is looked at each 2,000 sequences, on 256 test sequences; the
paper's shares of 2,560 that are wrong after the stop (0.0001 to 0.015) are not here.
"""

from configs.papers.lstm1997._online import EVERY, ONLINE
from configs.table import Better, Row, Scale, Solves, Stopped, Table


def row(name: str, paper: int, lr: float = 1.0, tolerance: float = 0.2, **stop) -> Row:
    """name: "3a T=100 N=3", and what else. stop: keys of the section."""
    variant, T, N = name.split()[:3]
    changes = {"data.variant": variant[1], "data.T": int(T[2:]), "data.N": int(N[2:])}
    changes |= {"optim.lr": lr, "task.tolerance": tolerance}
    return Row(
        name,
        {**changes, **{f"stop.{key}": value for key, value in stop.items()}},
        paper=paper,
        parameters=102,
    )


def to_st2(name: str, paper: int, at_most: float = 0.01) -> Row:
    return row(f"{name} to ST2", paper, metric="test/mae", at_most=at_most)


def noisy_targets(name: str, paper: int) -> Row:
    return row(name, paper, lr=0.1, tolerance=0.1, metric="test/mae", at_most=0.015)


TABLE = Table(
    title="Tables 4 to 6, noise and signal on one input. Hochreiter & Schmidhuber 1997",
    says="Sequences until the stop of the row: ST1 in 3a and 3b where it does not say ST2.",
    measure=Stopped(unit="sequences"),
    curve="test/sequence_error",
    base={
        **ONLINE,
        "data.name": "two_sequence",
        "data.examples": 256,
        "model.blocks": 3,
        "model.size": 1,
        "model.bias": "hidden",
        "model.init_scale": 0.1,
        "model.input_gate_bias": (-1.0, -3.0, -5.0),
        "model.output_gate_bias": (-2.0, -4.0, -6.0),
        "stop.metric": "test/sequence_error",
        "eval.every": 2000,
        "eval.batch_size": 256,
        "log.every": 2000,
        "checkpoint.every": 10_000,
        "steps_per_dispatch": 2000,
    },
    rows=(
        row("3a T=100 N=3", 27_380),
        row("3a T=100 N=1", 58_370),
        row("3a T=1000 N=3", 446_850),
        row("3b T=100 N=3", 41_740, at_most=2.3),
        row("3b T=100 N=1", 74_950, at_most=2.3),
        row("3b T=1000 N=1", 481_060, at_most=2.3),
        noisy_targets("3c T=100 N=3", 269_650),
        noisy_targets("3c T=100 N=1", 565_640),
        to_st2("3a T=100 N=3", 39_850),
        to_st2("3a T=100 N=1", 64_330),
        to_st2("3a T=1000 N=3", 452_460),
        to_st2("3b T=100 N=3", 43_250, at_most=0.04),
        to_st2("3b T=100 N=1", 78_430, at_most=0.04),
        to_st2("3b T=1000 N=1", 485_080, at_most=0.04),
    ),
    claims=(
        Solves("LSTM solves 3a with N=3", row="3a T=100 N=3"),
        Solves("... and of 1,000 steps", row="3a T=1000 N=3", share=EVERY),
        Solves("... 3b, noise on the informative inputs too", row="3b T=100 N=3"),
        Solves(
            "... and of 1,000 steps, with N=1",
            row="3b T=1000 N=1",
            share=EVERY,
            notes=dict(
                paper="1,000,000 sequences may be too few: over 100 steps one input takes 3.3 "
                "times as long as three, "
                "which would make 1,100,000 of the 330,000 that the eight solved trials of 3a took."
            ),
        ),
        Solves("... and 3c, learning the means of noisy targets", row="3c T=100 N=3"),
        Better(
            "one informative input takes longer than three: 3a",
            row="3a T=100 N=3",
            than="3a T=100 N=1",
        ),
        Better("... 3b", row="3b T=100 N=3", than="3b T=100 N=1"),
        Better("... 3c", row="3c T=100 N=3", than="3c T=100 N=1"),
        Better("1,000 steps take longer than 100: 3a", row="3a T=100 N=3", than="3a T=1000 N=3"),
        Better("... 3b", row="3b T=100 N=1", than="3b T=1000 N=1"),
        Better(
            "noise on the informative inputs makes it slower",
            row="3a T=100 N=3",
            than="3b T=100 N=3",
        ),
        Better("noisy targets make it slower still", row="3b T=100 N=3", than="3c T=100 N=3"),
    ),
    scales=dict(
        paper=Scale(
            "the paper's network, data, learning rule and 10 trials",
            {"optim.steps": 1_000_000},
            seeds=10,
        )
    ),
)
