"""MODELS: name -> constructor of a Flax Linen module; `build` makes one.

Every model is called as `model.apply(variables, inputs, mask, train=...)` and returns [B, outputs] in float32.
"""

import functools

from flax import linen as nn

from architectures.lenet import LeNet5
from architectures.sequence_models import SequenceReadout

MODELS = dict(
    lenet5=functools.partial(LeNet5, c3="dense", subsampling="average", activation="tanh", output="dense", initialiser="lecun"),
    lenet5_1998=LeNet5,
    lstm=functools.partial(SequenceReadout, cell="lstm"),
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
