"""English to Spanish on verses of at most 30 words.

With byte pairs (Sennrich et al. 2016) and attention (Luong et al. 2015).

Run:   python -m train --config=configs/seq2seq_kjv_reina_valera.py
Data:  python -m scripts.prepare_data kjv_reina_valera
BLEU:  python -m scripts.transduce --workdir=runs/seq2seq_kjv_reina_valera --evaluate=test
"""

from configs import base


def get_config():
    c = base.get_config()
    base.override(
        c, {"model.name": "seq2seq", "data.name": "kjv_reina_valera", "task.name": "transduce"}
    )
    base.override(c, {"optim.name": "adam", "schedule.name": "cosine"})
    c.data.vocabulary = "bpe"
    c.data.size = 2000  # merges on each side
    c.data.batch_size = 64
    c.model.cell = "gru"
    c.model.attention = "general"
    c.model.hidden = 256
    c.model.embedding = 128
    c.model.dropout = 0.2
    c.optim.lr = 0.002
    c.optim.steps = "10 epochs"
    c.optim.clip_norm = 1.0
    c.schedule.warmup = 200
    c.eval.every = "5 epochs"
    c.eval.batch_size = 128
    c.log.every = 100
    c.checkpoint.every = "1 epoch"
    return c
