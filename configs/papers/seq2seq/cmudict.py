"""Reversed sources, attention and its functions, on spelling to sound. Sutskever 2014, Bahdanau 2014, Luong 2015.

Run:   python -m scripts.sweep configs/papers/seq2seq/cmudict.py

The papers translate WMT 2014: Sutskever et al. table 1, Bahdanau et al. table 1, Luong et al. table 4. Here words of CMUdict
go to phones, judged by the error of phones: what holds of it need not hold of translation.
"""

from configs.table import Alike, Better, Row, Scale, Table

FORWARD = {"model.directions": "forward"}
NONE = {**FORWARD, "model.attention": "none"}

TABLE = Table(
    title="Source reversal, attention and score functions, on CMUdict",
    measure="test/token_error",
    curve="validation/token_error",
    base={
        "task.name": "transduce",
        "data.name": "cmudict",
        "data.batch_size": 256,
        "model.name": "seq2seq",
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
        Row("no attention", NONE),
        Row("no attention and source reversed", {**NONE, "data.reverse": True}),
        Row("no attention and both directions", {"model.attention": "none"}),
        Row("additive", {"model.attention": "additive"}),
        Row("dot", {**FORWARD, "model.attention": "dot"}),
        Row("general", {**FORWARD, "model.attention": "general"}),
        Row("concat", {**FORWARD, "model.attention": "concat"}),
        Row("location", {**FORWARD, "model.attention": "location"}),
    ),
    claims=(
        Better(
            "reversing the source helps (Sutskever et al., section 3.3)",
            row="no attention and source reversed",
            than="no attention",
        ),
        Better("attention helps (Bahdanau et al., table 1)", row="additive", than="no attention and both directions"),
        Better("content beats location: general (Luong et al., table 4)", row="general", than="location"),
        Alike("dot and general are alike (perplexity 6.1 and 6.1; Luong et al.)", row="dot", than="general", within=1.0),
    ),
    scales=dict(
        full=Scale("all of CMUdict, 10 epochs", {"optim.steps": "10 epochs", "eval.every": "1 epoch", "model.hidden": 256}),
        small=Scale(
            "128 units, 450 steps of 256 words, 1 epoch", {"optim.steps": 450, "eval.every": 225, "checkpoint.every": 225}
        ),
    ),
)
