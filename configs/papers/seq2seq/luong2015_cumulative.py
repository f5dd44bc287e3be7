"""Effective approaches to attention-based neural machine translation: table 1, what each technique
adds. Luong et al. 2015.

Run:   python -m scripts.sweep configs/papers/seq2seq/luong2015_cumulative.py

Each row has what the rows before it have, but for the last, whose attention is another one. The
paper's numbers are perplexities on newstest2014, English to German. Words, network and sizes here
are those of luong2015.py.
"""

from configs.papers.seq2seq.luong2015 import TABLE as FUNCTIONS
from configs.table import Better, Row, Table

BASE = {"model.attention": "none", "model.input_feeding": False}
REVERSE = {**BASE, "data.reverse": True}
DROPOUT = {**REVERSE, "model.dropout": 0.2}
GLOBAL = {**DROPOUT, "model.attention": "location"}
FEED = {**GLOBAL, "model.input_feeding": True}
LOCAL = {**FEED, "model.attention": "general", "model.local": "predictive"}

TABLE = Table(
    title="Table 1, what each technique adds, on CMUdict. Luong et al. 2015",
    says="The paper's numbers are perplexities on newstest2014, English to German.",
    measure="test/perplexity",
    curve="validation/perplexity",
    base=FUNCTIONS.base,
    rows=(
        Row("base", BASE, paper=10.6),
        Row("+ reverse", REVERSE, paper=9.9),
        Row("+ dropout", DROPOUT, paper=8.1),
        Row("+ global attention (location)", GLOBAL, paper=7.3),
        Row("+ feed input", FEED, paper=6.4),
        Row("+ local-p attention (general) instead of global", LOCAL, paper=5.9),
    ),
    claims=(
        Better("reversing the source helps", row="+ reverse", than="base"),
        Better(
            "dropout helps",
            row="+ dropout",
            than="+ reverse",
            notes=dict(
                small="A third of an epoch sees no word twice: there is nothing to overfit, and "
                "dropout slows learning."
            ),
        ),
        Better("global attention helps", row="+ global attention (location)", than="+ dropout"),
        Better("feeding the input helps", row="+ feed input", than="+ global attention (location)"),
        Better(
            "local attention helps more than global",
            row="+ local-p attention (general) instead of global",
            than="+ feed input",
        ),
    ),
    scales=FUNCTIONS.scales,
)
