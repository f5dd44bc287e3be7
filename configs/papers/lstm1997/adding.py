"""Long short-term memory, experiment 4: the adding problem. Hochreiter & Schmidhuber 1997, table 7
and section 5.4.

Run:   python -m scripts.sweep configs/papers/lstm1997/adding.py --scale=paper

Stop: the last 2,000 sequences all within 0.04, so their mean squared error is below the paper's
0.01. A trial stays as it is then.
"""

from configs.papers.lstm1997._online import EVERY, LAST_2000
from configs.table import Better, Monotone, Row, Scale, Solves, Stopped, Table, Until

SLOW = "All trials are below 4% wrong by 160,000 sequences and below 1% by 720,000; the stop waits for the very last errors."
LONGEST = (
    "Of T=1000 no trial has left the plateau after 2,000,000 sequences (84% wrong), where the "
    "paper's mean is 853,000 and its "
    "slowest took 2,020,000. Why was not found: the states drift to 1.4 in the median before "
    "training, where h is not flat."
)
SHORT = dict(
    paper=SLOW,
    small="After 200,000 sequences 3% of the test sequences are off by more than 0.04, in every "
    "trial; the stop asks for none "
    "of 2,000. The same cell meets the paper's number in experiment 6a.",
)

TABLE = Table(
    title="Table 7, adding problem. Hochreiter & Schmidhuber 1997",
    says="Sequences until the last 2,000 are all within 0.04.",
    measure=Stopped(unit="sequences"),
    curve="train/mse",
    base={
        **LAST_2000,
        "task.tolerance": 0.04,
        "data.name": "lstm_adding",
        "model.blocks": 2,
        "model.input_gate_bias": (-3.0, -6.0),
        "optim.lr": 0.5,
    },
    rows=(
        Row("T=100", {"data.T": 100}, paper=74_000, parameters=93),
        Row("T=500", {"data.T": 500}, paper=209_000, parameters=93),
        Row("T=1000", {"data.T": 1000}, paper=853_000, parameters=93),
    ),
    claims=(
        Solves(
            "LSTM solves lag 50 in every trial (section 5.4)", row="T=100", share=EVERY, notes=SHORT
        ),
        Better(
            "lag 50 is solved sooner than lag 250",
            row="T=100",
            than="T=500",
            notes=dict(
                paper="Lag 50 is learned sooner (below), but its last errors go slowly, where lag "
                "250, once learned, is "
                "below 0.5% within 200,000 sequences and stops."
            ),
        ),
        Better(
            "(ours) ... to 5% of the test sequences wrong",
            row="T=100",
            than="T=500",
            measure=Until("test/sequence_error", 5.0, unit="sequences"),
        ),
        Monotone(
            "longer lags take longer", order=("T=100", "T=500", "T=1000"), notes=dict(paper=LONGEST)
        ),
        Solves(
            "at the stop about one of 2,560 test sequences is wrong (at most two)",
            row="T=100",
            level=0.08,
            measure="test/sequence_error",
            notes=SHORT
            | dict(
                paper="4 to 9 of 2,560 are wrong: at such a rate 2,000 right ones in a row, "
                "looked for at every step, come by "
                "luck."
            ),
        ),
    ),
    scales=dict(
        paper=Scale(
            "the paper's network, data, learning rule and 10 trials",
            {"optim.steps": 2_000_000},
            seeds=10,
        ),
        small=Scale(
            "as the paper, at most 200,000 sequences",
            {"optim.steps": 200_000},
            seeds=10,
            without=("T=500", "T=1000"),
        ),
    ),
)
