"""ImageNet classification with deep convolutional neural networks, table 2: five networks averaged.
Krizhevsky et al. 2012.

Run:   python -m scripts.sweep configs/papers/alexnet/table2.py

One row trains, the other judges the mean probabilities of five of its seeds; images, networks and
schedules are those of imagenet.py. At scale `paper` the five are one ensemble, as in the paper,
which decides nothing: --seeds=15 makes three. Not here: its networks with a sixth convolution,
  first trained on ImageNet of 2011 (one 39.0, the seven with them 36.7%).
"""

import dataclasses

from configs.papers.alexnet.imagenet import TABLE as PIECES
from configs.table import Better, Row, Table


def scale(name: str, about: str, seeds: int, **changes):
    """A scale of imagenet.py without changes of its rows."""
    of = PIECES.scales[name]
    return dataclasses.replace(
        of, about=about, changes={**of.changes, **changes}, rows={}, without=(), seeds=seeds
    )


TABLE = Table(
    title="Table 2, five networks averaged. Krizhevsky et al. 2012",
    says="The paper's numbers are top-1 errors on the validation images of ILSVRC-2012, ten crops.",
    measure="test/error",
    curve="train/error",
    base=PIECES.base,
    rows=(
        Row("1 CNN", paper=40.7, parameters=60_965_224),
        Row("5 CNNs", {"eval.ensemble": 5}, paper=38.1, parameters=60_965_224, of="1 CNN"),
    ),
    claims=(Better("five networks averaged are better than one", row="5 CNNs", than="1 CNN"),),
    scales=dict(
        paper=scale("paper", "ImageNet-2012, 90 epochs; one ensemble", 5),
        full=scale(
            "full",
            "all 60,000 images of Fashion-MNIST at 64 x 64, 90 epochs; ensembles of 5 of 15 seeds",
            15,
        ),
        small=scale(
            "small",
            "the embedded 6,000 images of Fashion-MNIST at 64 x 64, a quarter of the width, batch "
            "64, 8 epochs, cosine; "
            "ensembles of 5 of 15 seeds",
            15,
            **{"optim.steps": "8 epochs"},
        ),
    ),
)
