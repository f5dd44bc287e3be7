"""LeNet-5 on Fashion-MNIST, three seeds.

LeCun et al. 1998's network in its modern form; the recipe is not theirs.

Run:   python -m train --config=configs/lenet_fashion_mnist.py
Data:  the embedded 6,000/1,000 images; all 60,000/10,000 after
         python -m scripts.prepare_data fashion_mnist
"""

from configs import base


def get_config():
    c = base.get_config()
    c.seeds = (0, 1, 2)
    c.steps_per_dispatch = 50
    base.override(
        c,
        {
            "model.name": "lenet5",
            "data.name": "fashion_mnist",
            "optim.name": "adam",
            "schedule.name": "cosine",
        },
    )
    c.model.activation = "relu"
    c.model.subsampling = "max"
    c.data.shift = 1
    c.data.flip = True
    c.optim.lr = 0.003
    c.optim.steps = "24 epochs"
    c.eval.every = "2 epochs"
    c.log.every = "2 epochs"
    c.checkpoint.every = "6 epochs"
    return c
