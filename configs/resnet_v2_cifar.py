"""Residual units of He et al. 2016 on CIFAR: the paper's recipe (appendix).

Run:   python -m train --config=configs/resnet_v2_cifar.py:depth=164,order=full_preactivation
       python -m train
         --config=configs/resnet_v2_cifar.py:depth=110,block=basic,shortcut=A,order=original
         --config.model.gate=exclusive    (of table 1)
Data:  python -m scripts.prepare_data cifar10 (or cifar100, with classes=100)

As configs/resnet_cifar.py, but all networks warm up for 400 steps at lr 0.01.
"""

from configs import base, resnet_cifar
from configs.load import arguments
from configs.resnet_cifar import WARM_UP


def get_config(argument: str = ""):
    given = arguments(
        argument,
        depth=164,
        block="bottleneck",
        shortcut="B",
        order="full_preactivation",
        classes=10,
    )
    c = resnet_cifar.get_config(f"classes={given['classes']}")
    base.override(c, {"model.name": "resnet_v2_cifar"})
    for key in ("depth", "block", "shortcut", "order"):
        c.model[key] = given[key]
    base.override(c, WARM_UP)
    return c
