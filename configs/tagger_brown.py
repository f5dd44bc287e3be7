"""Part-of-speech tags of the Brown corpus by an LSTM that reads in both directions, or in one.

Bidirectional as in Schuster & Paliwal 1997 and Graves & Schmidhuber 2005; the other has about as
many parameters.

Run:   python -m train --config=configs/tagger_brown.py
       python -m train --config=configs/tagger_brown.py:directions=forward
"""

from configs import base
from configs.load import arguments


def get_config(argument: str = ""):
    c = base.get_config()
    base.override(
        c,
        {
            "model.name": "tagger",
            "data.name": "brown_tags",
            "optim.name": "adam",
            "schedule.name": "cosine",
        },
    )
    c.model.directions = arguments(argument, directions="both")["directions"]
    # 197,632 and 197,376 recurrent parameters
    c.model.hidden = 128 if c.model.directions == "both" else 192
    c.model.embedding = 64
    c.model.dropout = 0.3
    c.data.batch_size = 128
    c.optim.lr = 0.003
    c.optim.steps = "3 epochs"
    c.optim.clip_norm = 1.0
    c.schedule.warmup = 100
    c.eval.every = "1 epoch"
    c.eval.batch_size = 256
    c.log.every = 100
    c.checkpoint.every = "1 epoch"
    return c
