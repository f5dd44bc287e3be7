"""Sequence to sequence learning with neural networks: section 3.3 and table 1, the source reversed.
Sutskever et al. 2014.

Run:   python -m scripts.sweep configs/papers/seq2seq/sutskever2014.py

The paper translates WMT 2014 with 4 x 1000 units. Here words of CMUdict go to phones, one layer of
128 units without attention. Its ensembles and its rescoring of another system's sentences are not
here.
"""

from configs.table import Better, Row, Scale, Table

TABLE = Table(
    title="Section 3.3 and table 1, the source reversed, on CMUdict. Sutskever et al. 2014",
    says="The paper's numbers are test perplexities, English to French; its BLEU went from 26.17 "
    "to 30.59.",
    measure="test/perplexity",
    curve="validation/perplexity",
    base={
        "task.name": "transduce",
        "data.name": "cmudict",
        "data.batch_size": 256,
        "model.name": "seq2seq",
        "model.directions": "forward",
        "model.attention": "none",
        "model.bridge": "copy",
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
        Row("forward", paper=5.8),
        Row("reversed", {"data.reverse": True}, paper=4.7),
    ),
    claims=(
        Better(
            "reversing the source lowers the perplexity (section 3.3)",
            row="reversed",
            than="forward",
        ),
        Better(
            "... and the output is better (BLEU, table 1)",
            row="reversed",
            than="forward",
            measure="test/token_error",
        ),
    ),
    scales=dict(
        full=Scale(
            "all of CMUdict, 10 epochs",
            {"optim.steps": "10 epochs", "eval.every": "1 epoch", "model.hidden": 256},
        ),
        small=Scale(
            "128 units, 450 steps of 256 words, 1 epoch",
            {"optim.steps": 450, "eval.every": 225, "checkpoint.every": 225},
        ),
    ),
)
