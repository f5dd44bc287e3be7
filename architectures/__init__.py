"""MODELS: name -> constructor of a Flax Linen module; `build` makes one.

Every model is called as `model.apply(variables, inputs, mask, train=...)`. It returns [B, outputs],
or [B, T, outputs] if it answers at every time step, in float32. In training, a model with auxiliary
heads returns a tuple: these logits and those of each head.
"""

import functools
import inspect

from flax import linen as nn

from architectures.alexnet import SINGLE_2014, AlexNet, AlexNetCifar
from architectures.googlenet import GoogLeNet
from architectures.inception import BNInception, InceptionV3
from architectures.lenet import LeNet
from architectures.lstm1997 import LSTM1997
from architectures.resnet import ResNet
from architectures.seq2seq import Seq2Seq
from architectures.sequence_models import LanguageModel, SequenceReadout, Tagger
from architectures.vgg import VGG

partial = functools.partial
MODELS = dict(
    # LeCun et al. 1998
    lenet1=partial(LeNet, number=1, output="dense"),
    lenet4=partial(LeNet, number=4, output="dense"),
    lenet5=partial(
        LeNet,
        c3="dense",
        subsampling="average",
        activation="tanh",
        output="dense",
        initialiser="lecun",
    ),
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
        GoogLeNet,
        lrn=False,
        window5=3,
        pool4=2,
        auxiliary_pool="adaptive",
        dropout=0.2,
        batch_norm="synchronised",
        bias=0.0,
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
    resnet_v2_cifar=partial(
        ResNet, stem="cifar", depth=164, block="bottleneck", order="full_preactivation"
    ),
    # one answer per sequence; `cell` chooses Elman 1990, Hochreiter & Schmidhuber 1997, Cho 2014
    sequence_readout=SequenceReadout,
    lstm1997=LSTM1997,
    # one answer per time step: Schuster & Paliwal 1997
    tagger=Tagger,
    # the next item of a stream: Elman 1990, Zaremba et al. 2014
    language_model=LanguageModel,
    # a sequence from a sequence: Sutskever et al. 2014, Cho et al. 2014; `attention` chooses
    # Bahdanau et al. 2014 or Luong et al. 2015
    seq2seq=Seq2Seq,
)


def build(name: str, **hyperparameters) -> nn.Module:
    """Makes the model `name` of MODELS.

    Raises ValueError, one line, for an unknown name or a field that the model does not have.
    """
    if name not in MODELS:
        raise ValueError(f"unknown model {name!r}; choose from {', '.join(sorted(MODELS))}")
    missing = hyperparameters.keys() - inspect.signature(MODELS[name]).parameters.keys()
    if missing:
        raise ValueError(f"{name!r} has no field {', '.join(sorted(missing))}")
    return MODELS[name](**hyperparameters)


def takes(name: str) -> tuple[str, ...]:
    """The kinds of input that the model `name` accepts: "image" [B, H, W, C], "sequence", ...

    The kinds are those of train.data.source.Dataset.
    """
    constructor = MODELS[name]
    return getattr(constructor, "func", constructor).takes
