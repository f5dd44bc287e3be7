"""Finding structure in time: lexical classes from word order. Elman 1990, Cognitive Science 14,
figure 7 and its text.

Run:   python -m scripts.sweep configs/papers/elman/sentences.py --scale=paper

Network, corpus and passes as printed: 31-150-31, 6 passes over 10,000 sentences, judged on them by
the likelihoods of the next word; one word an update, no gradient through time. The learning rate is
not printed: ours is 0.1 of the half squared error. Its test of the unknown word zog is not here.
"""

from configs.table import Row, Scale, Solves, Table

TABLE = Table(
    title="Simple sentences, the next word. Elman 1990",
    says="Root mean square distance of outputs and likelihoods of the next word. Paper: 0.053, "
    "and a mean cosine of 0.916.",
    measure="train_sentences/rms",
    base={
        "task.name": "regress",
        "task.criterion": "half_sum",
        "data.name": "elman_sentences",
        "data.batch_size": 1,
        "model.name": "language_model",
        "model.cell": "elman_1990",
        "model.hidden": 150,
        "model.output": "logistic",
        "optim.name": "sgd",
        "optim.lr": 0.1,
        "optim.steps": "6 epochs",
        "eval.every": "3 epochs",
        "log.every": "1 epoch",
        "eval.batch_size": 1,
        "checkpoint.every": "1 epoch",
        "steps_per_dispatch": 3000,
        "parallel.seeds": "devices+vmap",
    },
    rows=(Row("sentences", paper=0.053, parameters=31_981),),
    claims=(
        Solves("the outputs come near the likelihoods (0.053)", row="sentences", level=0.06),
        Solves(
            "(ours) ... also for new sentences", row="sentences", level=0.06, measure="test/rms"
        ),
    ),
    figures=("dendrogram",),
    scales=dict(
        paper=Scale("the paper's network, corpus and passes", seeds=6),
        small=Scale(
            "6 passes over 5,000 sentences",
            {"data.sentences": 5000, "optim.steps": "6 epochs"},
            seeds=6,
        ),
    ),
)
