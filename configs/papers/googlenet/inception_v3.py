"""Rethinking the Inception architecture, table 3: one change after the other. Szegedy et al. 2015,
arXiv:1512.00567.

Run:   python -m scripts.sweep configs/papers/googlenet/inception_v3.py

Paper: 100 epochs, batch 32 on each of 50 machines, single crop of 299; RMSProp with decay 0.9 and
epsilon 1, rate 0.045 times 0.94 every second epoch, gradients clipped at 2, averages of the weights
judged. From "Inception-v2" on each row has the changes of the row above. The network is that of the
authors' code, whose outline differs from the printed one (see the network's docstring). Table 2,
smaller images, and tables 4 and 5, many crops and an ensemble, are not here.
"""

from configs.cnn_imagenet import recipe
from configs.papers.imagenet import full
from configs.papers.inception import SMALL
from configs.table import Better, Row, Scale, Table

V2 = {"model.name": "inception_v3", "model.factorised7": False, "model.auxiliary_norm": False}
RMSPROP = {
    **V2,
    "optim.name": "rmsprop",
    "optim.rms_decay": 0.9,
    "optim.eps": 1.0,
    "optim.lr": 0.045,
    "optim.clip_norm": 2.0,
}
SMOOTH = {**RMSPROP, "task.label_smoothing": 0.1}
FACTORISED = {**SMOOTH, "model.factorised7": True}
V3 = {**FACTORISED, "model.auxiliary_norm": True}
CUMULATIVE = (
    "Inception-v2",
    "Inception-v2 RMSProp",
    "Inception-v2 label smoothing",
    "Inception-v2 factorised 7x7",
    "Inception-v3",
)
FIRST = {"optim.name": "momentum", "optim.lr": 0.045}  # Inception-v2, before the changes
NARROW = {"model.stem": "small", "model.width": 0.125}


def of_rows(
    googlenet: dict, bn_inception: dict, inception_v3: dict
) -> dict[str, dict[str, object]]:
    """The recipes of the rows, without what these change one after the other."""
    shared = {
        key: value
        for key, value in inception_v3.items()
        if key not in SMOOTH and key != "model.name"
    }
    first = {"GoogLeNet": googlenet, "BN-GoogLeNet": googlenet, "BN-Inception": bn_inception}
    return first | {name: shared for name in CUMULATIVE}


TABLE = Table(
    title="Table 3, from GoogLeNet to Inception v3. Szegedy et al. 2015",
    says="The paper's numbers are top-1 errors on ImageNet with a single crop.",
    measure="test/error",
    rows=(
        Row("GoogLeNet", {"model.name": "googlenet"}, paper=29.0),
        Row(
            "BN-GoogLeNet",
            {"model.name": "googlenet", "model.batch_norm": "synchronised", "model.lrn": False},
            paper=26.8,
        ),
        Row("BN-Inception", {"model.name": "bn_inception"}, paper=25.2),
        Row("Inception-v2", V2, paper=23.4),
        Row("Inception-v2 RMSProp", RMSPROP, paper=23.1),
        Row("Inception-v2 label smoothing", SMOOTH, paper=22.8),
        Row("Inception-v2 factorised 7x7", FACTORISED, paper=21.6),
        Row("Inception-v3", V3, paper=21.2, parameters=27_161_264),
    ),
    claims=(
        Better("BN-GoogLeNet beats GoogLeNet", row="BN-GoogLeNet", than="GoogLeNet"),
        Better("BN-Inception beats BN-GoogLeNet", row="BN-Inception", than="BN-GoogLeNet"),
        Better("Inception-v2 beats BN-Inception", row="Inception-v2", than="BN-Inception"),
        Better("RMSProp helps", row="Inception-v2 RMSProp", than="Inception-v2"),
        Better(
            "label smoothing helps", row="Inception-v2 label smoothing", than="Inception-v2 RMSProp"
        ),
        Better(
            "a factorised first layer helps",
            row="Inception-v2 factorised 7x7",
            than="Inception-v2 label smoothing",
        ),
        Better(
            "a batch-normalised auxiliary head helps",
            row="Inception-v3",
            than="Inception-v2 factorised 7x7",
        ),
        Better("altogether: Inception-v3 beats GoogLeNet", row="Inception-v3", than="GoogLeNet"),
    ),
    scales=dict(
        paper=Scale(
            "ImageNet-2012, batch 32: 10,000,000 steps of GoogLeNet, 6,000,000 of BN-Inception, "
            "100 epochs of the others",
            {**FIRST, "eval.batch_size": 64},
            rows=of_rows(*map(recipe, ("googlenet", "bn_inception", "inception_v3"))),
        ),
        full=Scale(
            "all 60,000 images of Fashion-MNIST, as many epochs as on ImageNet",
            FIRST,
            rows=of_rows(
                full("googlenet", {"model.auxiliary_pool": "adaptive"}),
                full("bn_inception", {}),
                full("inception_v3", {"data.pad": 0, "data.crop": 28, "model.stem": "small"}),
            ),
        ),
        small=Scale(
            "the embedded 6,000 images of Fashion-MNIST at 28 x 28, a quarter of the width, v2 "
            "and v3 an eighth, 4 epochs",
            {
                **SMALL,
                "data.pad": 0,
                "optim.steps": "4 epochs",
                "log.every": "0.5 epochs",
            },
            rows={
                "GoogLeNet": {"model.auxiliary_pool": "adaptive", "data.pad": 2},
                "BN-GoogLeNet": {"model.auxiliary_pool": "adaptive", "data.pad": 2},
                "BN-Inception": {"data.pad": 2, "optim.lr": 0.1},
                CUMULATIVE[0]: NARROW,
                # without momentum, 0.045 is a tenth
                **{name: {**NARROW, "optim.lr": 0.45} for name in CUMULATIVE[1:]},
            },
        ),
    ),
)
