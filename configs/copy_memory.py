"""Copy memory with T blanks, as in the code of Arjovsky et al. 2016.

A plain LSTM learns little of it in 20,000 steps. With forget gates that start at 0.993, so that a
cell keeps a third of its content over 150 steps, it has learned about half of it by then.

Run:   python -m train --config=configs/copy_memory.py

Without memory the loss is at best 10 ln 8 / (T + 20), 0.0945 for T=200.
"""

from configs import base
from configs.load import arguments


def get_config(argument: str = ""):
    c = base.get_config()
    c.steps_per_dispatch = 50
    base.override(c, {"model.name": "tagger", "data.name": "copy_memory", "optim.name": "adam"})
    given = arguments(argument, T=200, cell="lstm")
    c.data.T = given["T"]
    c.data.batch_size = 40
    c.model.cell = given["cell"]
    c.model.directions = "forward"
    c.model.hidden = 80
    if given["cell"] in ("lstm", "lstm_peephole"):
        c.model.forget_bias = 5.0
    c.optim.lr = 0.003
    c.optim.steps = 20_000
    c.optim.clip_norm = 1.0
    c.eval.every = 4000
    c.log.every = 200
    c.checkpoint.every = 2000
    return c
