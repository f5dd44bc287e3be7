"""Recurrent neural network regularization: dropout on what does not recur. Zaremba, Sutskever &
Vinyals 2014, table 1.

Run:   python -m scripts.sweep configs/papers/dropout/zaremba2014.py

Paper: Penn Treebank, which is not to be had here; the King James Version is as large. Its small
network (2 x 200, no dropout) has a test perplexity of 114.5, the medium (2 x 650, dropout 0.5)
82.7, the large (2 x 1500, 0.65) 78.4. Scale full has its recipe: gradient descent at rate 1, which
is divided after each epoch from the 4th, 6th or 14th on. Averages of networks are not here.
"""

from configs.table import Better, Row, Scale, Table

RECIPE = {
    "task.per": "row",  # the loss of a window is the sum over its words
    "model.initialiser": "uniform",
    "model.forget_bias": 0.0,
    "optim.name": "sgd",
    "optim.lr": 1.0,
    "schedule.name": "step",
    "eval.every": "1 epoch",
}


def falling(
    epochs: int, constant: int, by: float, scale: float, clip: float = 5.0
) -> dict[str, object]:
    """The rate is divided by `by` after `constant` epochs and after each later one; weights start
    in U(-scale, scale)."""
    falls = tuple(f"{epoch} epochs" for epoch in range(constant, epochs))
    rule = {
        "optim.steps": f"{epochs} epochs",
        "schedule.boundaries": falls,
        "schedule.factor": 1 / by,
    }
    return {**rule, "model.init_scale": scale, "optim.clip_norm": clip}


TABLE = Table(
    title="Table 1, LSTM language models with and without dropout. Zaremba et al. 2014",
    says="The paper's numbers are test perplexities on the Penn Treebank.",
    measure="test/perplexity",
    curve="validation/perplexity",
    base={
        "task.name": "language_model",
        "data.name": "kjv",
        "data.vocabulary": "word",
        "data.window": 35,
        "data.batch_size": 20,
        "model.name": "language_model",
        "model.layers": 2,
        "optim.name": "adam",
        "optim.lr": 0.002,
        "optim.clip_norm": 5.0,
        "schedule.name": "cosine",
        "log.every": 100,
        "eval.batch_size": 20,
        "steps_per_dispatch": 20,
    },
    rows=(
        Row("small without dropout", {"model.hidden": 200, "model.embedding": 200}, paper=114.5),
        Row("medium without dropout", {"model.hidden": 650, "model.embedding": 650}),
        Row(
            "medium with dropout 0.5",
            {"model.hidden": 650, "model.embedding": 650, "model.dropout": 0.5},
            paper=82.7,
        ),
        Row(
            "large with dropout 0.65",
            {"model.hidden": 1500, "model.embedding": 1500, "model.dropout": 0.65},
            paper=78.4,
        ),
    ),
    claims=(
        Better(
            "dropout lets a larger network win",
            row="medium with dropout 0.5",
            than="small without dropout",
        ),
        Better(
            "dropout helps the medium network",
            row="medium with dropout 0.5",
            than="medium without dropout",
        ),
        Better(
            "a still larger one with more dropout is better",
            row="large with dropout 0.65",
            than="medium with dropout 0.5",
        ),
    ),
    scales=dict(
        full=Scale(
            "the whole King James Version, 13, 39 and 55 epochs as in the paper",
            {**RECIPE, **falling(39, 6, 1.2, scale=0.05)},
            rows={
                "small without dropout": {"data.window": 20, **falling(13, 4, 2.0, scale=0.1)},
                "large with dropout 0.65": falling(55, 14, 1.15, scale=0.04, clip=10.0),
            },
        ),
        small=Scale(
            "1,000 verses of training and their 2,000 words, 30 epochs, networks of 2 x 64, 2 x "
            "200 and 2 x 300",
            {
                "data.limit": 1000,
                "data.size": 2000,
                "data.batch_size": 32,
                "optim.lr": 0.005,
                "optim.steps": "30 epochs",
                "eval.every": "10 epochs",
                "checkpoint.every": "10 epochs",
            },
            rows={
                "small without dropout": {"model.hidden": 64, "model.embedding": 64},
                "medium without dropout": {"model.hidden": 200, "model.embedding": 200},
                "medium with dropout 0.5": {"model.hidden": 200, "model.embedding": 200},
                "large with dropout 0.65": {"model.hidden": 300, "model.embedding": 300},
            },
            seeds=8,
        ),
    ),
)
