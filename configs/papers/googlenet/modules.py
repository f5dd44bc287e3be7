"""Going deeper: auxiliary heads, reductions, batch normalisation. Szegedy et al. 2014, Ioffe &
Szegedy 2015.

Run:   python -m scripts.sweep configs/papers/googlenet/modules.py

Ioffe & Szegedy, figure 3: on ImageNet batch normalisation comes to the same accuracy in 13.3M
steps, and with higher rates in 2.1M, instead of 31.0M. The level here is ours.
"""

from configs.cnn_imagenet import recipe
from configs.papers.imagenet import full
from configs.papers.inception import SMALL
from configs.table import Alike, Better, Row, Scale, Table, Until

ADAPTIVE = {"model.auxiliary_pool": "adaptive"}  # the printed 5 x 5 pool does not fit small images
LEVEL = Until("train/error", 40.0)
# five times GoogLeNet's rate, and no average of weights
BN = {"optim.lr": 0.05, "optim.ema": 0.0, "schedule.staircase": False}
WITH_HEADS = ("GoogLeNet", "naive modules", "with batch normalisation")

TABLE = Table(
    title="Auxiliary heads, reductions, batch normalisation. Szegedy et al. 2014, Ioffe & Szegedy "
    "2015",
    measure="test/error",
    curve="train/error",
    base={"model.name": "googlenet"},
    rows=(
        Row("GoogLeNet", ADAPTIVE),
        Row("without auxiliary heads", {"model.auxiliary": False}),
        Row("naive modules", {**ADAPTIVE, "model.reduction": False}),
        Row(
            "with batch normalisation",
            {**ADAPTIVE, "model.batch_norm": "synchronised", "model.lrn": False},
        ),
        Row("BN-Inception at 5 times the rate", {"model.name": "bn_inception", "optim.lr": 0.1}),
    ),
    claims=(
        Alike(
            "auxiliary heads matter little (about 0.5%)",
            row="GoogLeNet",
            than="without auxiliary heads",
            within=1.0,
            notes=dict(
                small="4 epochs are a start, and there the heads help: without them training is "
                "behind too, and still falling. "
                "The paper's half a point is of networks trained to the end; Szegedy et al. 2015 "
                "see no help early on."
            ),
        ),
        Better(
            "batch normalisation learns in fewer steps",
            row="with batch normalisation",
            than="GoogLeNet",
            measure=LEVEL,
        ),
        Better(
            "... and at a higher rate in fewer still, by more than 5 times",
            row="BN-Inception at 5 times the rate",
            than="GoogLeNet",
            by=5.0,
            measure=LEVEL,
        ),
    ),
    scales=dict(
        paper=Scale(
            "ImageNet-2012, 10,000,000 steps of 32, of BN-Inception 6,000,000",
            {**recipe("googlenet"), "eval.batch_size": 64},
            rows={
                **{name: {"model.auxiliary_pool": "paper"} for name in WITH_HEADS},
                "BN-Inception at 5 times the rate": {**recipe("bn_inception"), **BN},
            },
        ),
        full=Scale(
            "all 60,000 images of Fashion-MNIST, as many epochs as on ImageNet",
            full("googlenet", {"log.every": "0.1 epochs"}),
            rows={
                "BN-Inception at 5 times the rate": {
                    **full("bn_inception", {"log.every": "0.1 epochs"}),
                    **BN,
                }
            },
        ),
        small=Scale(
            "the embedded 6,000 images of Fashion-MNIST, a quarter of the width, batch 64, 4 "
            "epochs",
            {**SMALL, "schedule.name": "constant", "optim.steps": "4 epochs"},
        ),
    ),
)
