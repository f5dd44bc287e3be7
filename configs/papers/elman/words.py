"""Finding structure in time: discovering the notion "word". Elman 1990, Cognitive Science 14,
figure 6.

Run:   python -m scripts.sweep configs/papers/elman/words.py --scale=paper

Network and passes as printed: 5-20-5, 10 passes over 200 sentences; one step an update, no gradient
through time. The paper does not print its 15 words nor its learning rate: see data elman_words;
ours is 0.5 of the half squared error.
"""

from configs.table import Lower, Row, Scale, Table

TABLE = Table(
    title="Letters in words, the error by letter. Elman 1990",
    measure="test/mse",
    base={
        "task.name": "regress",
        "task.criterion": "half_sum",
        "data.name": "elman_words",
        "data.batch_size": 1,
        "model.name": "language_model",
        "model.cell": "elman_1990",
        "model.hidden": 20,
        "model.output": "logistic",
        "optim.name": "sgd",
        "optim.lr": 0.5,
        "optim.steps": "10 epochs",
        "eval.every": "1 epoch",
        "log.every": "1 epoch",
        "eval.batch_size": 1,
        "checkpoint.every": "5 epochs",
        "steps_per_dispatch": 3000,
        "parallel.seeds": "devices+vmap",
    },
    rows=(
        Row("letters in words", parameters=625),
        Row(
            "letters in words for 100 passes",
            {"optim.steps": "100 epochs", "eval.every": "10 epochs"},
            parameters=625,
        ),
    ),
    claims=(
        Lower(
            "the error is high at the onset of a word",
            row="letters in words",
            measure="inside/mse",
            than="onsets/mse",
        ),
        Lower(
            "(ours) ... also when the stream is known well",
            row="letters in words for 100 passes",
            measure="inside/mse",
            than="onsets/mse",
        ),
    ),
    figures=("segmentation",),
    scales=dict(
        paper=Scale("the paper's network, stream and passes, and ten times these", seeds=6)
    ),
)
