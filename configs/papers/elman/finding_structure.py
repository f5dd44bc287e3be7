"""Finding structure in time: temporal XOR and letter sequences. Elman 1990, Cognitive Science 14,
figures 3 to 5.

Run:   python -m scripts.sweep configs/papers/elman/finding_structure.py --scale=paper

Networks, data and passes as printed: one step an update, context units that start at 0.5, no
gradient through time. Learning rate, momentum and initial weights are not in the paper; ours are lr
0.5 of the half squared error and the initial weights of cell "elman". Each pass begins anew at 0.5,
where the paper's run on. A network that knows all that can be known has an error of 1/6 on the XOR
stream (1/4, 1/4, 0 by position), where one that knows nothing has 1/4.
"""

from configs.table import Lower, Row, Scale, Solves, Table

# what follows from the symbols before it, and what is random
TOLD = dict(measure="inside/mse", than="onsets/mse")

TABLE = Table(
    title="Temporal XOR and letters. Elman 1990",
    measure="test/mse",
    base={
        "task.name": "regress",
        "task.criterion": "half_sum",
        "data.batch_size": 1,
        "model.name": "language_model",
        "model.cell": "elman_1990",
        "model.output": "logistic",
        "optim.name": "sgd",
        "optim.lr": 0.5,
        "eval.every": "10 epochs",
        "log.every": "10 epochs",
        "eval.batch_size": 1,
        "checkpoint.every": "50 epochs",
        "steps_per_dispatch": 3000,
        "parallel.seeds": "devices+vmap",
    },
    rows=(
        Row(
            "XOR",
            {"data.name": "temporal_xor", "model.hidden": 2, "optim.steps": "600 epochs"},
            parameters=11,
        ),
        Row(
            "XOR with 8 hidden units",
            {"data.name": "temporal_xor", "model.hidden": 8, "optim.steps": "600 epochs"},
        ),
        Row(
            "letters ba dii guuu",
            {"data.name": "elman_letters", "model.hidden": 20, "optim.steps": "200 epochs"},
            parameters=666,
        ),
    ),
    claims=(
        Solves(
            "XOR is learned to some extent (below 0.24; who knows nothing has 0.25)",
            row="XOR",
            level=0.24,
        ),
        Lower(
            "... the error is low at every third bit, which can be told (figure 3)",
            row="XOR",
            **TOLD,
        ),
        Lower("... with 8 hidden units too (ours)", row="XOR with 8 hidden units", **TOLD),
        Lower(
            "the vowels are told and the consonants are not (figure 4)",
            row="letters ba dii guuu",
            **TOLD,
        ),
    ),
    figures=("streams",),
    scales=dict(paper=Scale("the paper's networks, streams and passes", seeds=6)),
)
