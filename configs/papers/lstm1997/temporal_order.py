"""Long short-term memory, experiment 6: temporal order. Hochreiter & Schmidhuber 1997, table 9 and
section 5.6.

Run:   python -m scripts.sweep configs/papers/lstm1997/temporal_order.py --scale=paper

Stop: the last 2,000 sequences all classified, each output within 0.3, which makes the mean squared
error less than the paper's 0.1. A trial stays as it is then.
"""

from configs.papers.lstm1997._online import EVERY, LAST_2000
from configs.table import Better, Row, Scale, Solves, Stopped, Table

TABLE = Table(
    title="Table 9, temporal order. Hochreiter & Schmidhuber 1997",
    says="Sequences until the last 2,000 are all right, every output within 0.3; 20 trials of 6a "
    "and 10 of 6b in the paper.",
    measure=Stopped(unit="sequences"),
    curve="train/sequence_error",
    base={
        **LAST_2000,
        "task.tolerance": 0.3,
        "data.name": "lstm_temporal_order",
    },
    rows=(
        Row(
            "6a: two symbols",
            {
                "data.bits": 2,
                "model.blocks": 2,
                "model.input_gate_bias": (-2.0, -4.0),
                "optim.lr": 0.5,
            },
            paper=31_390,
            parameters=156,
        ),
        Row(
            "6b: three symbols",
            {
                "data.bits": 3,
                "model.blocks": 3,
                "model.input_gate_bias": (-2.0, -4.0, -6.0),
                "optim.lr": 0.1,
            },
            paper=571_100,
            parameters=308,
        ),
    ),
    claims=(
        Solves(
            "LSTM tells the order of two symbols in every trial", row="6a: two symbols", share=EVERY
        ),
        Solves("... and of three", row="6b: three symbols", share=EVERY),
        Better(
            "three symbols take longer than two", row="6a: two symbols", than="6b: three symbols"
        ),
        Solves(
            "of 2,560 test sequences about one is wrong (at most two)",
            row="6a: two symbols",
            level=0.08,
            measure="test/sequence_error",
        ),
    ),
    scales=dict(
        paper=Scale(
            "the paper's network, data, learning rule; 20 trials",
            {"optim.steps": 1_000_000},
            seeds=20,
        ),
        small=Scale(
            "as the paper, 10 trials of at most 200,000 sequences, too few for 6b",
            {"optim.steps": 200_000},
            without=("6b: three symbols",),
            seeds=10,
        ),
    ),
)
