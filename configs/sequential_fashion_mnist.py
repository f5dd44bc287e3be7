"""Fashion-MNIST pixel by pixel, in order or permuted, by one recurrent cell.

As Le, Jaitly & Hinton 2015, on another data set.

Run:   python -m train --config=configs/sequential_fashion_mnist.py
"""

from configs import base
from configs.load import arguments


def get_config(argument: str = ""):
    c = base.get_config()
    base.override(
        c,
        {
            "model.name": "sequence_readout",
            "data.name": "sequential_fashion_mnist",
            "schedule.name": "cosine",
        },
    )
    given = arguments(argument, cell="lstm", pixels_per_step=1)
    c.data.permuted = True
    c.data.pixels_per_step = given["pixels_per_step"]
    c.data.batch_size = 100
    c.model.cell = given["cell"]
    c.model.hidden = 100
    c.optim.lr = 0.001
    c.optim.steps = "1 epoch"
    c.optim.clip_norm = 1.0
    c.eval.every = "1 epoch"
    c.log.every = 50
    c.checkpoint.every = "1 epoch"
    return c
