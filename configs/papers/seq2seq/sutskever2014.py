"""Sequence to sequence learning with neural networks: section 3.3 and table 1, the source reversed. Sutskever et al. 2014.

Run:   python -m scripts.sweep configs/papers/seq2seq/sutskever2014.py

The paper translates WMT 2014 with 4 x 1000 units. Here words of CMUdict go to phones, judged by the error of phones: one layer
of 128 units, no attention. Its ensembles and its rescoring of another system's sentences are not here.
"""

from configs.table import Better, Row, Scale, Table

TABLE = Table(
    title="Section 3.3 and table 1, the source reversed, on CMUdict. Sutskever et al. 2014",
    says="Paper, of newstest2014, English to French: perplexity 5.8 and BLEU 26.17 forward, 4.7 and 30.59 reversed.",
    measure="test/token_error",
    curve="validation/token_error",
    base={
        "task.name": "transduce",
        "data.name": "cmudict",
        "data.batch_size": 256,
        "model.name": "seq2seq",
        "model.directions": "forward",
        "model.attention": "none",
        "model.hidden": 128,
        "model.embedding": 64,
        "optim.name": "adam",
        "optim.lr": 0.003,
        "optim.clip_norm": 5.0,
        "schedule.name": "cosine",
        "schedule.warmup": 50,
        "log.every": 50,
        "eval.batch_size": 512,
    },
    rows=(
        Row("no attention"),
        Row("no attention and source reversed", {"data.reverse": True}),
    ),
    claims=(Better("reversing the source helps (section 3.3)", row="no attention and source reversed", than="no attention"),),
    scales=dict(
        full=Scale("all of CMUdict, 10 epochs", {"optim.steps": "10 epochs", "eval.every": "1 epoch", "model.hidden": 256}),
        small=Scale(
            "128 units, 450 steps of 256 words, 1 epoch", {"optim.steps": 450, "eval.every": 225, "checkpoint.every": 225}
        ),
    ),
)
