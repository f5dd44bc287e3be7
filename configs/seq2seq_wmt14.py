"""English to French on WMT 2014 by RNNsearch-50 or RNNenc-50, Bahdanau et al. 2014, section 4.

Training pairs are streamed.

Run:   python -m train --config=configs/seq2seq_wmt14.py
         (on GPUs and TPUs with --config.dtype=bfloat16)
       python -m train --config=configs/seq2seq_wmt14.py:attention=none
Data:  python -m scripts.prepare_data wmt14_translate/fr-en

It has not been run to its end here. Not as in the paper: attention starts as the other weights do,
N(0, 0.01^2), where its matrices have a deviation of 0.001 and v is zero; it trains on the whole
corpus, not on the 348 million words that the paper selects; the vocabularies are those of the first
million pairs; words are divided by our own rule; validation is newstest2013 alone; a batch has
pairs of any length, padded to 50 words. Where the host is slower than the devices (examples_per_s
in metrics.jsonl), set data.workers.
"""

from configs import base
from configs.load import arguments


def get_config(argument: str = ""):
    c = base.get_config()
    base.override(
        c, {"model.name": "seq2seq", "data.name": "wmt14_translate", "task.name": "transduce"}
    )
    base.override(c, {"optim.name": "adadelta"})
    c.model.attention = arguments(argument, attention="additive")["attention"]
    c.model.cell = "gru_reset_before"
    c.model.attend = "before"
    c.model.bridge = "backward"
    if c.model.attention == "none":  # RNNencdec of Cho et al. 2014: the encoder reads forward
        base.override(c, {"model.directions": "forward", "model.bridge": "dense"})
    c.model.hidden = 1000
    c.model.embedding = 620
    c.model.maxout = 500
    c.model.initialiser = "cho"  # recurrent weights orthogonal, others normal, appendix B.1
    c.model.init_scale = 0.01
    c.task.per = "sequence"
    c.data.streamed = True
    c.data.limit = 1_000_000
    c.data.batch_size = 80
    c.optim.lr = 1.0
    c.optim.clip_norm = 1.0
    c.optim.steps = 600_000 if c.model.attention == "none" else 288_000  # table 2
    c.eval.every = 10_000
    c.eval.batch_size = 80
    c.log.every = 100
    c.checkpoint.every = 2000
    return c
