"""LSTM on JapaneseVowels: which of nine speakers said /ae/.

The input is 12 cepstral coefficients over 7 to 29 frames.

Run:   python -m train --config=configs/lstm_japanese_vowels.py
"""

from configs import base


def get_config():
    c = base.get_config()
    c.seeds = (0, 1, 2)
    c.steps_per_dispatch = 50
    base.override(
        c,
        {
            "model.name": "sequence_readout",
            "data.name": "japanese_vowels",
            "optim.name": "adam",
            "schedule.name": "cosine",
        },
    )
    c.model.hidden = 64
    c.model.dropout = 0.2
    c.data.batch_size = 30
    c.optim.lr = 0.005
    c.optim.steps = "60 epochs"
    c.optim.clip_norm = 1.0
    c.eval.every = "5 epochs"
    c.log.every = "5 epochs"
    c.checkpoint.every = "20 epochs"
    return c
