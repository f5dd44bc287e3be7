"""The four-layer network of Krizhevsky et al. 2012, sections 3.1 and 3.3, on CIFAR-10.

Run:   python -m train --config=configs/alexnet_cifar.py:lrn=true
         (activation=tanh: the other curve of figure 1)
Data:  python -m scripts.prepare_data cifar10

The paper points to cuda-convnet for this network. From there: batch 128, momentum 0.9, lr 0.001,
mean image subtracted, 24 x 24 crops and mirror images, ten views in evaluation, lr / 10 twice at
the end. There decay is 0.004 only in the locally connected and linear layers, with LRN 0.01 in the
linear one, and biases learn twice as fast; here it is 0.004 for all weights, and biases learn like
the other parameters.
"""

from configs import base
from configs.load import arguments


def get_config(argument: str = ""):
    c = base.get_config()
    given = arguments(argument, activation="relu", lrn=False)
    base.override(
        c,
        {
            "model.name": "alexnet_cifar",
            "data.name": "cifar10",
            "optim.name": "momentum",
            "schedule.name": "step",
        },
    )
    base.override(c, {"model.lrn": given["lrn"], "model.activation": given["activation"]})
    c.data.scale = "mean_image"
    c.data.flip = True
    c.data.crop = 24
    c.data.views = "ten"
    c.optim.lr = 0.001
    c.optim.weight_decay = 0.004
    c.optim.steps = "520 epochs"
    c.schedule.boundaries = ("500 epochs", "510 epochs")
    c.eval.batch_size = 100
    c.steps_per_dispatch = 100
    return c
