"""A simple way to initialise recurrent networks of rectified linear units: the adding problem. Le,
Jaitly & Hinton 2015.

Run:   python -m scripts.sweep configs/papers/adding/le2015.py

Paper: figures, no numbers; its forget bias is the best of 1, 4, 10 and 20, so those of 0 and 3 are
ours. Here: one marker in each half (as Arjovsky et al. 2016), Adam, 64 units.
Success: test error below 0.01 (a constant has 1/6).
"""

from configs.table import Better, Row, Scale, Solves, Table, Until

LSTM = {"model.cell": "lstm", "optim.lr": 0.01}

TABLE = Table(
    title="Adding problem: tanh, IRNN, LSTM, forget bias. Le et al. 2015, Jozefowicz et al. 2015",
    measure="test/mse",
    curve="test/mse",
    base={
        "task.name": "regress",
        "data.name": "adding",
        "data.batch_size": 50,
        "model.name": "sequence_readout",
        "model.hidden": 64,
        "optim.name": "adam",
        "optim.clip_norm": 1.0,
        "log.every": 100,
        "steps_per_dispatch": 50,
        "parallel.seeds": "devices",
    },
    rows=(
        Row("tanh", {"model.cell": "elman", "optim.lr": 0.001}),
        Row("IRNN", {"model.cell": "irnn", "optim.lr": 0.0003}),
        Row("LSTM with forget bias 0", {**LSTM, "model.forget_bias": 0.0}),
        Row("LSTM with forget bias 1", {**LSTM, "model.forget_bias": 1.0}),
        Row("LSTM with forget bias 3", {**LSTM, "model.forget_bias": 3.0}),
        Row("GRU", {"model.cell": "gru", "optim.lr": 0.01}),
    ),
    claims=(
        Solves(
            "LSTM solves the problem (Le et al., figure 2)",
            row="LSTM with forget bias 1",
            level=0.01,
        ),
        Solves("IRNN solves it too", row="IRNN", level=0.01),
        Solves("a tanh network does not", row="tanh", level=0.01, solves=False),
        Better("IRNN is better than tanh", row="IRNN", than="tanh"),
        Better(
            "a forget bias of 1 is better than none (Jozefowicz et al., section 5)",
            row="LSTM with forget bias 1",
            than="LSTM with forget bias 0",
            measure=Until("test/mse", 0.01),
        ),
        Better(
            "(ours) ... and of 3 better than of 1, over lags as long as these",
            row="LSTM with forget bias 3",
            than="LSTM with forget bias 1",
            measure=Until("test/mse", 0.01),
        ),
    ),
    scales=dict(
        paper=Scale(
            "T=400, at most 20,000 steps, of LSTM and GRU 10,000; a seed stops at a training mse "
            "of 0.005 over 100 steps",
            {
                "data.T": 400,
                "optim.steps": 10_000,
                "stop.metric": "train/mse",
                "stop.at_most": 0.005,
                "eval.every": 250,
                "checkpoint.every": 500,
            },
            rows={
                "tanh": {"optim.steps": 20_000},
                # its gradient overflows now and then
                "IRNN": {"optim.steps": 20_000, "optim.skip_nonfinite": True},
            },
            seeds=6,
        ),
        small=Scale(
            "T=100, 1,500 steps, of tanh and IRNN 8,000",
            {
                "data.T": 100,
                "data.examples": 500,
                "optim.steps": 1500,
                "eval.every": 50,
                "log.every": 50,
                "checkpoint.every": 500,
            },
            rows={row: {"optim.steps": 8000} for row in ("tanh", "IRNN")},
            seeds=6,
        ),
    ),
)
