"""Grapheme to phoneme on CMUdict: a Seq2Seq with the attention of Bahdanau et al. 2014, or without.

Without attention the source must pass through one fixed vector.

Run:   python -m train --config=configs/seq2seq_cmudict.py
       python -m train --config=configs/seq2seq_cmudict.py:attention=none
"""

from configs import base
from configs.load import arguments


def get_config(argument: str = ""):
    c = base.get_config()
    base.override(c, {"model.name": "seq2seq", "data.name": "cmudict", "task.name": "transduce"})
    base.override(c, {"optim.name": "adam", "schedule.name": "cosine"})
    c.model.attention = arguments(argument, attention="additive")["attention"]
    c.model.hidden = 256
    c.model.embedding = 64
    c.model.dropout = 0.2
    c.data.batch_size = 256
    c.optim.lr = 0.002
    c.optim.steps = "10 epochs"
    c.optim.clip_norm = 5.0
    c.schedule.warmup = 200
    c.eval.every = "1 epoch"
    c.eval.batch_size = 512
    c.log.every = 100
    c.checkpoint.every = "1 epoch"
    return c
