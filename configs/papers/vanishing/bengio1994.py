"""Learning long-term dependencies with gradient descent is difficult: success against lag. Bengio,
Simard & Frasconi 1994.

Run:   python -m scripts.sweep configs/papers/vanishing/bengio1994.py

Paper: figures, no numbers. The more steps between what is told and the answer, the fewer trials of
back-propagation succeed, as a state that latches robustly makes gradients vanish. Its 2-sequence
problem, in the form of Hochreiter & Schmidhuber 1997 (3a: the class is in the first 3 of T to 1.1 T
inputs, noise follows, within 0.2 is right). Ours: 5 tanh units as in the paper, 5 of an LSTM, both
by gradient descent on batches of 20 with the norm clipped to 1. The paper's units have no biases,
its sequences T/2 to T steps, and its weights start in U(-0.5, 0.5); its latching and parity
problems are not here.
"""

from configs.table import Monotone, Row, Scale, Solves, Table

TANH, LSTM = {"model.cell": "elman"}, {"model.cell": "lstm", "model.forget_bias": 3.0}
LAGS = (5, 10, 20, 50, 100)

TABLE = Table(
    title="Success against lag, the 2-sequence problem. Bengio et al. 1994",
    measure="test/sequence_error",
    base={
        "task.name": "regress",
        "task.tolerance": 0.2,
        "data.name": "two_sequence",
        "data.N": 3,
        "data.examples": 500,
        "data.batch_size": 20,
        "model.name": "sequence_readout",
        "model.hidden": 5,
        "optim.name": "sgd",
        "optim.lr": 0.1,
        "optim.clip_norm": 1.0,
        "steps_per_dispatch": 500,
        "parallel.seeds": "devices+vmap",
    },
    rows=(
        *(Row(f"tanh at T={T}", {**TANH, "data.T": T}) for T in LAGS),
        *(Row(f"LSTM at T={T}", {**LSTM, "data.T": T}) for T in LAGS),
    ),
    claims=(
        Monotone(
            "the longer the lag, the worse a tanh network learns",
            order=tuple(f"tanh at T={T}" for T in LAGS),
        ),
        Solves("a short lag is learned", row="tanh at T=5", level=5.0),
        Solves("one of 100 is not", row="tanh at T=100", level=5.0, solves=False),
        Solves(
            "memory cells learn it (Hochreiter & Schmidhuber 1997)", row="LSTM at T=100", level=5.0
        ),
    ),
    scales=dict(
        paper=Scale(
            "18 trials of 50,000 updates",
            {"optim.steps": 50_000, "eval.every": 5000, "log.every": 500},
            seeds=18,
        ),
        small=Scale(
            "10 trials of 10,000 updates",
            {"optim.steps": 10_000, "eval.every": 1000, "log.every": 500, "checkpoint.every": 5000},
            seeds=10,
        ),
    ),
)
