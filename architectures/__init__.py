"""MODELS: name -> constructor of a Flax Linen module; `build` makes one.

Every model is called as `model.apply(variables, inputs, mask, train=...)` and returns [B, outputs] in float32; in training
one with auxiliary heads returns a tuple of that and of theirs.
"""

import functools

from flax import linen as nn

from architectures.alexnet import SINGLE_2014, AlexNet, AlexNetCifar
from architectures.googlenet import GoogLeNet
from architectures.inception import BNInception, InceptionV3
from architectures.lenet import LeNet
from architectures.resnet import ResNet
from architectures.sequence_models import SequenceReadout
from architectures.vgg import VGG

partial = functools.partial
MODELS = dict(
    # LeCun et al. 1998
    lenet1=partial(LeNet, number=1, output="dense"),
    lenet4=partial(LeNet, number=4, output="dense"),
    lenet5=partial(LeNet, c3="dense", subsampling="average", activation="tanh", output="dense", initialiser="lecun"),
    lenet5_1998=LeNet,
    # Krizhevsky et al. 2012; Krizhevsky 2014 as in torchvision; the network for CIFAR-10
    alexnet=AlexNet,
    alexnet_2014=partial(AlexNet, maps=SINGLE_2014, groups=1, lrn=False, conv1_padding=(2, 2)),
    alexnet_cifar=AlexNetCifar,
    # Simonyan & Zisserman 2014
    vgg=VGG,
    # Szegedy et al. 2014, and as in torchvision; Ioffe & Szegedy 2015; Szegedy et al. 2015
    googlenet=GoogLeNet,
    googlenet_torchvision=partial(
        GoogLeNet, lrn=False, window5=3, pool4=2, auxiliary_pool="adaptive", dropout=0.2, batch_norm="synchronised", bias=0.0
    ),
    bn_inception=BNInception,
    inception_v3=InceptionV3,
    # He et al. 2015
    resnet=ResNet,
    resnet_cifar=partial(ResNet, stem="cifar", depth=20, shortcut="A"),
    plain=partial(ResNet, depth=34, shortcut="none"),
    plain_cifar=partial(ResNet, stem="cifar", depth=20, shortcut="none"),
    # He et al. 2016
    resnet_v2=partial(ResNet, depth=200, order="full_preactivation", stride_in="3x3"),
    resnet_v2_cifar=partial(ResNet, stem="cifar", depth=164, block="bottleneck", order="full_preactivation"),
    # recurrent networks
    lstm=partial(SequenceReadout, cell="lstm"),
)


def build(name: str, **hyperparameters) -> nn.Module:
    """The model `name` of MODELS. Raises ValueError, one line with the choices, for an unknown name."""
    if name not in MODELS:
        raise ValueError(f"unknown model {name!r}; have {', '.join(sorted(MODELS))}")
    return MODELS[name](**hyperparameters)


def takes(name: str) -> str:
    """What the model `name` is given: "image" [B, H, W, C] or "sequence" [B, T, I]."""
    constructor = MODELS[name]
    return getattr(constructor, "func", constructor).takes
