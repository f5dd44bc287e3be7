"""Batch normalization, figure 3: steps to GoogLeNet's accuracy, and the most accuracy. Ioffe &
Szegedy 2015, arXiv:1502.03167.

Run:   python -m scripts.sweep configs/papers/googlenet/bn_inception.py

Paper: a variant of GoogLeNet without (Inception) and with batch normalisation, batch 32, momentum,
single crop. "x5" and "x30" are learning rates over Inception's 0.0015, with no dropout, a fifth of
the weight decay and a rate that falls six times as fast; not here: the response normalisation of
Inception and BN-Baseline, whose place is not printed, and of the others' changes the shuffling
within shards and weaker distortions. The level is Inception's best accuracy, 72.2%, so an error of
27.8%; the same level serves at small scale. Its most accuracy, in the text: Inception 72.2,
BN-Baseline 72.7, BN-x5 73.0, BN-x30 74.8, BN-x5-Sigmoid 69.8%. Figure 4, 144 crops and an ensemble
of six, is not here.
"""

from configs.cnn_imagenet import recipe
from configs.papers.imagenet import full, in_epochs
from configs.papers.inception import SMALL
from configs.table import Better, Row, Scale, Solves, Table, Until

STEPS = Until("test/error", 27.8)
PLAIN = {"model.batch_norm": "none", "model.biases": True, "model.dropout": 0.4}
# of Inception, and of BN-Baseline "the same"
SLOW = {"optim.weight_decay": 2e-4, "schedule.every": "8 epochs"}
OFTEN = {"eval.every": "0.25 epochs", "eval.batch_size": 64}


def rates(inception: float, slow: dict[str, object]) -> dict[str, dict[str, object]]:
    """slow: what the rows change besides that have Inception's own rate."""
    times = {"BN-x5": 5, "BN-x30": 30, "BN-x5-Sigmoid": 5}
    rows = {name: {"optim.lr": factor * inception} for name, factor in times.items()}
    return rows | {
        name: {"optim.lr": inception, **slow}
        for name in ("Inception", "BN-Baseline", "Inception-Sigmoid")
    }


TABLE = Table(
    title="Figure 3, batch normalisation. Ioffe & Szegedy 2015",
    says="The paper's numbers are steps on ImageNet until the accuracy is Inception's best, 72.2%.",
    measure=STEPS,
    base={"model.name": "bn_inception"},
    rows=(
        Row("Inception", PLAIN, paper=31_000_000),
        Row("BN-Baseline", {"model.dropout": 0.4}, paper=13_300_000),
        Row("BN-x5", paper=2_100_000),
        Row("BN-x30", paper=2_700_000),
        Row("BN-x5-Sigmoid", {"model.activation": "sigmoid"}),
        Row("Inception-Sigmoid", {**PLAIN, "model.activation": "sigmoid"}),
    ),
    claims=(
        Better(
            "batch normalisation comes to Inception's accuracy in less than half of the steps",
            row="BN-Baseline",
            than="Inception",
            by=2.0,
        ),
        Better(
            "... at five times the rate in 14 times fewer", row="BN-x5", than="Inception", by=14.0
        ),
        Better("BN-x30 starts slower than BN-x5 ...", row="BN-x5", than="BN-x30"),
        Better(
            "... and ends at a higher accuracy",
            row="BN-x30",
            than="BN-x5",
            measure="test/error",
            notes=dict(
                small="The rates are constant here, as 8 epochs have no time for the paper's to "
                "fall; at 0.3 noise stays."
            ),
        ),
        Better(
            "a sigmoid trains with batch normalisation",
            row="BN-x5-Sigmoid",
            than="Inception-Sigmoid",
            measure="test/error",
        ),
        Solves(
            "... and without it stays at chance",
            row="Inception-Sigmoid",
            level=80.0,
            solves=False,
            measure="test/error",
        ),
    ),
    scales=dict(
        paper=Scale(
            "ImageNet-2012, steps of 32: 32,000,000 at Inception's own rate, which is what it "
            "needs, else 6,000,000",
            {**recipe("bn_inception"), **OFTEN},
            rows=rates(0.0015, {**SLOW, "optim.steps": 32_000_000}),
        ),
        full=Scale(
            "all 60,000 images of Fashion-MNIST, as many epochs as on ImageNet",
            full("bn_inception", OFTEN),
            rows=rates(0.0015, {**SLOW, **in_epochs({"optim.steps": 32_000_000}, 32)}),
        ),
        small=Scale(
            "the embedded 6,000 images of Fashion-MNIST, a quarter of the width, batch 64, "
            "constant rates, 8 epochs; "
            "Inception 24",
            {
                **SMALL,
                "model.initialiser": "xavier_caffe",
                "optim.steps": "8 epochs",
                "schedule.name": "constant",
                "log.every": "0.25 epochs",
                "eval.every": "0.25 epochs",
                "checkpoint.every": "4 epochs",
            },
            rows={**rates(0.01, {}), "Inception": {"optim.lr": 0.01, "optim.steps": "24 epochs"}},
        ),
    ),
)
