"""Word language model on the King James Version, a stream of verses.

Zaremba et al. 2014 train theirs in this way on the Penn Treebank.

Run:   python -m train --config=configs/lm_kjv.py
       python -m train --config=configs/lm_kjv.py:vocabulary=char
"""

from configs import base
from configs.load import arguments


def get_config(argument: str = ""):
    c = base.get_config()
    base.override(
        c, {"model.name": "language_model", "data.name": "kjv", "task.name": "language_model"}
    )
    base.override(c, {"optim.name": "adam", "schedule.name": "cosine"})
    c.data.vocabulary = arguments(argument, vocabulary="word")["vocabulary"]
    c.data.batch_size = 32
    c.model.hidden = 320
    c.model.tied = True
    c.model.dropout = 0.4
    c.optim.lr = 0.003
    c.optim.steps = "4 epochs"
    c.optim.clip_norm = 1.0
    c.schedule.warmup = 100
    c.eval.every = "1 epoch"
    c.eval.batch_size = 16
    c.log.every = 100
    c.checkpoint.every = "1 epoch"
    return c
