"""Learning to forget: continual prediction with LSTM. Gers, Schmidhuber & Cummins 2000, the
continual embedded Reber grammar.

Run:   python -m scripts.sweep configs/papers/forget_gate/gers2000.py

Of 100 networks a row in the paper, so many went through 10 streams of 100,000 symbols each without
a mistake. Its network has 4 blocks of 2 cells, lr 0.5 and a stream that begins anew at each
mistake. Here: 8 cells with gates of their own, Adam, a stream without end in windows of 30 symbols,
the state carried from each to the next; and how many windows of the test stream have a mistake. Not
here: a reset from outside (74% of the networks), state decay 0.9 (0%).
"""

from configs.table import Better, Row, Scale, Solves, Table

FORGET = {"model.cell": "lstm", "model.forget_bias": 1.0}

TABLE = Table(
    title="Continual embedded Reber grammar, with and without forget gates. Gers et al. 2000",
    says="The paper's numbers are networks that read ten streams of 100,000 symbols without a "
    "mistake.",
    measure="test/sequence_error",
    base={
        "task.name": "regress",
        "data.name": "continual_reber",
        "data.batch_size": 10,
        "model.name": "language_model",
        "model.hidden": 8,
        "model.output": "logistic",
        "optim.name": "adam",
        "optim.lr": 0.01,
        "optim.clip_norm": 1.0,
        "eval.batch_size": 1,
        "log.every": 500,
        "steps_per_dispatch": 100,
        "parallel.seeds": "devices+vmap",
    },
    rows=(
        Row("standard LSTM", {"model.cell": "lstm_no_forget_gate"}, paper="0 of 100"),
        Row("LSTM with forget gates", FORGET, paper="18 of 100"),
        Row(
            "LSTM with forget gates and falling rate",
            {**FORGET, "schedule.name": "cosine"},
            paper="62 of 100",
        ),
    ),
    claims=(
        Better("forget gates help", row="LSTM with forget gates", than="standard LSTM"),
        Solves("standard LSTM does not learn it", row="standard LSTM", level=1.0, solves=False),
        Better(
            "a falling learning rate helps",
            row="LSTM with forget gates and falling rate",
            than="LSTM with forget gates",
            notes=dict(
                small="At a constant rate 3, 7 and 8 of 20 networks know the grammar after 2,000, "
                "3,000 and 4,000 updates, so "
                "some are still finding it; a falling rate ends before (2, 4 and 5). The paper "
                "has 30,000 streams."
            ),
        ),
    ),
    scales=dict(
        small=Scale(
            "4,000 updates",
            {"optim.steps": 4000, "eval.every": 1000, "checkpoint.every": 2000},
            seeds=20,
        ),
        full=Scale(
            "40,000 updates",
            {"optim.steps": 40_000, "eval.every": 4000, "checkpoint.every": 4000},
            seeds=10,
        ),
    ),
)
