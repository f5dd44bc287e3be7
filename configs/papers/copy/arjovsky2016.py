"""Copy memory, Arjovsky, Shah & Bengio 2016, section 4.1: a tanh network, IRNN, LSTM and GRU.

Run:   python -m scripts.sweep configs/papers/copy/arjovsky2016.py

Paper: figures, no numbers; 80 units of tanh and IRNN, 40 of LSTM, 128 of its unitary network, which
is not here; RMSProp, lr 1e-3, decay 0.9, batches of 20, gradients clipped to 1 element by element,
20,000 steps, T from 100 to 500. Its code has besides a first squared gradient of 1e-3 and no
epsilon, Glorot's uniform weights, a learned first state, an output gate that sees all states c, and
100,000 sequences made once; here all are new, and the rest is each cell's own. The GRU is ours.
Chance is 87.5% of the last 10 symbols.
"""

from configs.table import Row, Scale, Solves, Table

CHANCE = 86.0  # percent: two standard errors of 20,000 symbols, and some, below 87.5

TABLE = Table(
    title="Copy memory. Arjovsky et al. 2016",
    measure="test/error",
    base={
        "task.name": "classify",
        "data.name": "copy_memory",
        "data.batch_size": 20,
        "model.name": "tagger",
        "model.directions": "forward",
        "optim.name": "rmsprop",
        "optim.rms_decay": 0.9,
        "optim.lr": 0.001,
        "optim.clip_value": 1.0,
        "log.every": 100,
        "steps_per_dispatch": 50,
        "parallel.seeds": "devices",
    },
    rows=(
        Row("tanh", {"model.cell": "elman", "model.hidden": 80}),
        Row("IRNN", {"model.cell": "irnn", "model.hidden": 80}),
        Row("LSTM", {"model.cell": "lstm", "model.hidden": 40, "model.forget_bias": 1.0}),
        Row("GRU", {"model.cell": "gru", "model.hidden": 46}),
    ),
    claims=(
        Solves("a tanh network does not get beyond chance", row="tanh", level=CHANCE, solves=False),
        Solves("IRNN does not", row="IRNN", level=CHANCE, solves=False),
        Solves("LSTM hardly does", row="LSTM", level=CHANCE, solves=False),
    ),
    scales=dict(
        paper=Scale(
            "T=200, 20,000 steps",
            {"data.T": 200, "optim.steps": 20_000, "checkpoint.every": 2000},
            seeds=6,
        ),
        small=Scale(
            "T=50, 2,000 steps",
            {"data.T": 50, "optim.steps": 2000, "eval.every": 500, "checkpoint.every": 500},
            seeds=6,
        ),
    ),
)
