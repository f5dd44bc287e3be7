"""Deep residual learning, table 6 and figure 6: plain and residual networks of growing depth. He et
al. 2015, arXiv:1512.03385.

Run:   python -m scripts.sweep configs/papers/resnet/depth.py

Paper: CIFAR-10, batch 128, momentum 0.9, decay 1e-4, lr 0.1 divided by 10 at 32k and 48k of 64k
steps, 4 pixels of padding and mirror images; from depth 110 on 400 steps of warm-up (printed for
ResNet-110). The plain networks' errors are curves in figure 6, without numbers; plain-110's is
above 60% and not shown. ResNet-110's error is the mean of five runs (the best has 6.43)."""

from configs.papers.residual import CIFAR10, FULL, RECIPE, SMALL
from configs.resnet_cifar import WARM_UP
from configs.table import Better, Monotone, Ordered, Row, Scale, Solves, Table

PLAIN = {"model.name": "plain_cifar"}
RESIDUAL = {"model.name": "resnet_cifar"}
SHORT = dict(
    small="Of 64,000 steps it has 188: in the second epoch 39% are wrong in training, of "
    "ResNet-20's answers 25%."
)
DEEP = {row: WARM_UP for row in ("plain-110", "ResNet-110", "ResNet-1202")}

TABLE = Table(
    title="Table 6 and figure 6, plain against residual. He et al. 2015",
    says="The paper's numbers are test errors on CIFAR-10.",
    measure="test/error",
    base={
        **RECIPE,
    },
    rows=(
        Row("plain-20", {**PLAIN, "model.depth": 20}, parameters=269_722),
        Row("plain-32", {**PLAIN, "model.depth": 32}, parameters=464_154),
        Row("plain-44", {**PLAIN, "model.depth": 44}, parameters=658_586),
        Row("plain-56", {**PLAIN, "model.depth": 56}, parameters=853_018),
        Row("plain-110", {**PLAIN, "model.depth": 110}, paper=">60", parameters=1_727_962),
        Row("ResNet-20", {**RESIDUAL, "model.depth": 20}, paper=8.75, parameters=269_722),
        Row("ResNet-32", {**RESIDUAL, "model.depth": 32}, paper=7.51, parameters=464_154),
        Row("ResNet-44", {**RESIDUAL, "model.depth": 44}, paper=7.17, parameters=658_586),
        Row("ResNet-56", {**RESIDUAL, "model.depth": 56}, paper=6.97, parameters=853_018),
        Row("ResNet-110", {**RESIDUAL, "model.depth": 110}, paper=6.61, parameters=1_727_962),
        Row("ResNet-1202", {**RESIDUAL, "model.depth": 1202}, paper=7.93, parameters=19_421_274),
    ),
    claims=(
        Better(
            "plain networks get worse with depth (section 4.2)", row="plain-20", than="plain-56"
        ),
        Better(
            "... in training error too: degradation, not overfitting",
            row="plain-20",
            than="plain-56",
            measure="train/error",
        ),
        Better("residual networks beat plain ones at depth 56", row="ResNet-56", than="plain-56"),
        Better("... and at depth 20 (figure 6)", row="ResNet-20", than="plain-20"),
        Better(
            "... in training error too", row="ResNet-20", than="plain-20", measure="train/error"
        ),
        Ordered(
            "residual networks gain from depth (6.97, 7.17, 7.51, 8.75%)",
            order=("ResNet-56", "ResNet-44", "ResNet-32", "ResNet-20"),
        ),
        Better("110 layers beat 20", row="ResNet-110", than="ResNet-20", notes=SHORT),
        Better("... and 56", row="ResNet-110", than="ResNet-56", notes=SHORT),
        Monotone(
            "the deeper a plain network, the higher its training error",
            order=("plain-20", "plain-32", "plain-44", "plain-56"),
            measure="train/error",
        ),
        Solves("plain-110 stays above 60%", row="plain-110", level=60.0, solves=False),
        Solves(
            "1202 layers can be optimised: training error below 0.1%",
            row="ResNet-1202",
            level=0.1,
            measure="train/error",
        ),
        Better(
            "... and overfit: their test error is worse than that of 110",
            row="ResNet-110",
            than="ResNet-1202",
        ),
    ),
    scales=dict(
        paper=Scale(
            "CIFAR-10, 64,000 steps, as printed",
            {
                **CIFAR10,
            },
            rows=DEEP,
            seeds=5,
        ),
        full=Scale(
            "all 60,000 images of Fashion-MNIST, 64,000 steps",
            {
                **FULL,
            },
            rows=DEEP,
        ),
        medium=Scale(
            "all 60,000 images of Fashion-MNIST, 8, 16, 32 maps, batch 128, 3 epochs, cosine",
            {
                **SMALL,
                "data.source": "files",
                "data.batch_size": 128,
                "optim.steps": "3 epochs",
                "log.every": "0.1 epochs",
                "checkpoint.every": "0.5 epochs",
            },
            without=(
                "plain-32",
                "plain-44",
                "plain-110",
                "ResNet-32",
                "ResNet-44",
                "ResNet-110",
                "ResNet-1202",
            ),
            seeds=10,
        ),
        small=Scale(
            "the embedded 6,000 images of Fashion-MNIST, 8, 16, 32 maps, batch 64, lr 0.05, 2 "
            "epochs, cosine",
            {
                **SMALL,
                # at 0.1, with half the paper's batch, one of three ResNet-56 stayed at 79%
                "optim.lr": 0.05,
            },
            without=("ResNet-1202",),
            seeds=6,
        ),
    ),
)
