"""Each convolutional family on Fashion-MNIST, padded to 32 x 32, for 2 CPU cores.

The networks are narrow and the schedules short.

Run:   python -m train --config=configs/cnn_fashion_mnist.py:model=vgg
Data:  the embedded 6,000/1,000 images; all 60,000/10,000 after
         python -m scripts.prepare_data fashion_mnist

None of this is a paper's experiment: the networks are the papers', but the widths, schedules and
images are not.
"""

from configs import base
from configs.load import arguments
from train.errors import BadInput

FAMILIES = {  # name -> (model.name, epochs, what differs from the defaults below)
    "alexnet": (
        "alexnet",
        10,
        {
            "model.width": 0.25,
            "model.image_size": 64,
            "data.pad": 18,
            # with the printed N(0, 0.01^2) the loss stays flat over this schedule
            "model.initialiser": "he_fan_in",
            "model.bias": 0.0,
            "optim.lr": 0.01,
        },
    ),
    "vgg": (
        "vgg",
        4,
        {"model.configuration": "A", "model.width": 0.25, "model.image_size": 32, "optim.lr": 0.03},
    ),
    "vgg_bn": (
        "vgg",
        4,
        {"model.width": 0.25, "model.image_size": 32, "model.batch_norm": "synchronised"},
    ),
    "googlenet": (
        "googlenet",
        4,
        {"model.width": 0.5, "model.auxiliary_pool": "adaptive", "optim.lr": 0.03},
    ),
    "bn_inception": ("bn_inception", 2, {"model.width": 0.5}),
    "inception_v3": (
        "inception_v3",
        0.5,
        {"model.width": 0.125, "model.stem": "small", "data.pad": 0},
    ),
    "resnet": ("resnet", 4, {"model.depth": 18, "model.width": 16}),
    "resnet_v2": ("resnet_v2", 4, {"model.depth": 50, "model.width": 16}),
    "resnet20": ("resnet_cifar", 2, {"model.width": 8}),
    "plain20": ("plain_cifar", 2, {"model.width": 8}),
    "resnet56": ("resnet_cifar", 0.5, {"model.width": 8, "model.depth": 56}),
    "plain56": ("plain_cifar", 0.5, {"model.width": 8, "model.depth": 56}),
    "resnet_v2_164": ("resnet_v2_cifar", 0.5, {"model.width": 8}),
}


def get_config(argument: str = ""):
    c = base.get_config()
    family = arguments(argument, model="resnet20")["model"]
    if family not in FAMILIES:
        raise BadInput(f"model: unknown {family!r}; {base.nearest(family, FAMILIES)}")
    name, epochs, changes = FAMILIES[family]
    base.override(
        c,
        {
            "model.name": name,
            "data.name": "fashion_mnist",
            "optim.name": "nesterov",
            "schedule.name": "cosine",
        },
    )
    c.steps_per_dispatch = 20
    c.data.shift = 2
    c.data.flip = True
    c.optim.lr = 0.1
    c.optim.weight_decay = 1e-4
    c.optim.clip_norm = 5.0
    c.optim.steps = f"{epochs} epochs"
    c.schedule.warmup = "0.1 epochs"
    c.eval.every = "1 epochs"
    c.log.every = "0.1 epochs"
    c.checkpoint.every = "1 epochs"
    return base.override(c, changes)
