"""ResNets and plain networks on CIFAR. He et al. 2015, section 4.2: the paper's recipe.

Run:   python -m train --config=configs/resnet_cifar.py:depth=56
         (shortcut=none: the plain network)
Data:  python -m scripts.prepare_data cifar10 (or cifar100, with classes=100)

Batch 128, SGD with momentum 0.9, decay 1e-4, lr 0.1 divided by 10 at 32k and 48k of 64k steps; 4
pixels of padding, a random 32 x 32 crop and its mirror image; per-pixel mean subtracted. From depth
110 on the first 400 steps have lr 0.01. The authors divide batch normalisation over two GPUs; here
it covers the whole batch.
"""

from configs import base
from configs.load import arguments

WARM_UP = {"schedule.warmup": 400, "schedule.warmup_factor": 0.1}  # lr 0.01 in the first 400 steps


def get_config(argument: str = ""):
    c = base.get_config()
    given = arguments(argument, depth=20, shortcut="A", classes=10)
    changes = {
        "model.name": "resnet_cifar",
        "data.name": f"cifar{given['classes']}",
        "optim.name": "momentum",
    }
    base.override(c, changes | {"schedule.name": "step"})
    c.model.depth = given["depth"]
    c.model.shortcut = given["shortcut"]
    c.data.scale = "mean_image"
    c.data.flip = True
    c.data.shift = 4
    c.optim.lr = 0.1
    c.optim.weight_decay = 1e-4
    c.optim.steps = 64_000
    c.schedule.boundaries = (32_000, 48_000)
    base.override(c, WARM_UP if given["depth"] >= 110 else {})
    c.steps_per_dispatch = 100
    return c
