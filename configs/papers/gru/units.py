"""Empirical evaluation of gated recurrent networks: tanh, GRU and LSTM of about as many parameters.
Chung et al. 2014, table 2.

Run:   python -m scripts.sweep configs/papers/gru/units.py

The paper models music and speech (negative log-likelihood); there is no loader for its music here,
its speech is private. Here: the next character of the King James Version, each network of about
169,000 recurrent parameters as in its Ubisoft rows (tanh 400, GRU 227, LSTM 195 units for 20
inputs), embedding 20. Each 100 characters are a sequence of their own, as the paper's are: a
network that reads on and on, and began anew but once, may fail when a test begins. Learning rates
are the best, by one seed's validation at `small`, of 0.001, 0.002 and 0.004 for tanh, 0.004, 0.01
and 0.02 for GRU, 0.004, 0.008, 0.01, 0.012 and 0.016 for LSTM (the paper draws ten at random). So
no number of the paper's belongs beside ours.
"""

from configs.table import Alike, Better, Row, Scale, Table

TABLE = Table(
    title="Tables 1 and 2, tanh, GRU and LSTM at equal size. Chung et al. 2014",
    measure="test/bits",
    curve="validation/bits",
    base={
        "task.name": "language_model",
        "data.name": "kjv",
        "data.vocabulary": "char",
        "data.window": 100,
        "data.batch_size": 32,
        "model.name": "language_model",
        "model.carried": False,
        "model.embedding": 20,
        "optim.name": "adam",
        "optim.clip_norm": 1.0,
        "schedule.name": "cosine",
        "log.every": 100,
        "eval.batch_size": 100,
    },
    rows=(
        Row("tanh", {"model.cell": "elman", "model.hidden": 400, "optim.lr": 0.004}),
        Row("GRU", {"model.cell": "gru_reset_before", "model.hidden": 227, "optim.lr": 0.01}),
        Row("GRU reset after", {"model.cell": "gru", "model.hidden": 227, "optim.lr": 0.01}),
        Row("LSTM", {"model.cell": "lstm_peephole", "model.hidden": 195, "optim.lr": 0.01}),
    ),
    claims=(
        Better("gated units beat tanh: GRU (section 5)", row="GRU", than="tanh"),
        Better("... LSTM", row="LSTM", than="tanh"),
        Alike(
            "no clear winner between GRU and LSTM (within 0.05 bits)",
            row="GRU",
            than="LSTM",
            within=0.05,
            notes=dict(
                small="GRU learns faster, at the best rate of each: 1,000 steps are a start, "
                "where the paper trains until the "
                "validation error rises. A forget bias of 1, cells without peepholes and a wider "
                "clip changed nothing."
            ),
        ),
        Alike(
            "the place of the reset gate does not matter (footnote)",
            row="GRU",
            than="GRU reset after",
            within=0.05,
        ),
    ),
    scales=dict(
        full=Scale(
            "the whole King James Version, 5 epochs",
            {"optim.steps": "5 epochs", "eval.every": "1 epoch"},
        ),
        small=Scale(
            "1,000 steps of 32 x 100 characters, 0.9 epochs",
            {"optim.steps": 1000, "eval.every": 200, "checkpoint.every": 200},
            seeds=5,
        ),
    ),
)
