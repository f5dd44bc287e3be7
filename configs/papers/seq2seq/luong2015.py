"""Effective approaches to attention-based neural machine translation: table 4, attention functions.
Luong, Pham & Manning 2015.

Run:   python -m scripts.sweep configs/papers/seq2seq/luong2015.py

The paper translates WMT 2014 English to German with 4 x 1000 units; its numbers are
perplexities (those of concat in a footnote). Here words of CMUdict go to phones: one layer of 128
units, input feeding, the source as it is read, so that local-m follows it, and windows of 3 letters
each way.
"""

from configs.table import Alike, Better, Row, Scale, Table

LOCAL_M, LOCAL_P = (
    {"model.local": local, "model.window": 3} for local in ("monotonic", "predictive")
)


def row(name: str, score: str, paper: float | None = None, local: dict | None = None) -> Row:
    return Row(name, {"model.attention": score, **(local or {})}, paper=paper)


TABLE = Table(
    title="Table 4, attention functions, on CMUdict. Luong et al. 2015",
    says="The paper's numbers are perplexities on newstest2014, English to German.",
    measure="test/perplexity",
    curve="validation/perplexity",
    base={
        "task.name": "transduce",
        "data.name": "cmudict",
        "data.batch_size": 256,
        "data.buckets": 4,
        "model.name": "seq2seq",
        "model.directions": "forward",
        "model.attend": "after",
        "model.input_feeding": True,
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
        row("global location", "location", 6.4),
        row("global dot", "dot", 6.1),
        row("global general", "general", 6.1),
        row("global concat", "concat", 6.7),
        row("local-m dot", "dot", 7.0, LOCAL_M),
        row("local-m general", "general", 6.2, LOCAL_M),
        row("local-m concat", "concat", 7.1, LOCAL_M),
        row("local-p dot", "dot", 6.6, LOCAL_P),
        row("local-p general", "general", 5.9, LOCAL_P),
        row("local-p concat", "concat", 7.1, LOCAL_P),
    ),
    claims=(
        Better(
            "local-p with general is the best of all (5.9): than global general",
            row="local-p general",
            than="global general",
        ),
        Better("... than local-m general", row="local-p general", than="local-m general"),
        Alike(
            "dot works well for global attention: as general (6.1 and 6.1; within 0.02 of 1.8 "
            "here)",
            row="global dot",
            than="global general",
            within=0.02,  # at the printed perplexities, to their last digit
        ),
        Better(
            "general is better for local attention: local-m",
            row="local-m general",
            than="local-m dot",
        ),
        Better("... local-p", row="local-p general", than="local-p dot"),
        Better(
            "location learns no good alignments (6.4): than dot",
            row="global dot",
            than="global location",
        ),
        Better("concat performs badly: global", row="global general", than="global concat"),
    ),
    scales=dict(
        full=Scale(
            "256 units, 10 epochs",
            {"model.hidden": 256, "optim.steps": "10 epochs", "eval.every": "1 epoch"},
        ),
        small=Scale(
            "600 steps of 64 words, a third of an epoch",
            {"data.batch_size": 64, "optim.steps": 600, "eval.every": 300, "checkpoint.every": 300},
        ),
    ),
)
