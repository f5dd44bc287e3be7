"""Identity mappings, table 1: what multiplies the shortcut. He et al. 2016, arXiv:1603.05027.

Run:   python -m scripts.sweep configs/papers/resnet_v2/table1.py

Paper: CIFAR-10, ResNet-110 of original units; "fail" is a test error above 20%. Otherwise as table 2.
"""

from configs.papers.residual import CIFAR10, RECIPE, SMALL, WARM_UP
from configs.table import Better, Row, Scale, Table

TABLE = Table(
    title="Table 1, multiplicative shortcuts. He et al. 2016",
    measure="test/error",
    base={
        **RECIPE,
        "model.name": "resnet_v2_cifar",
        "model.order": "original",
        "model.block": "basic",
        "model.shortcut": "A",
        "model.depth": 110,
    },
    rows=(
        Row("original", {}, paper=6.61, parameters=1_727_962),
        Row("plain", {"model.name": "plain_cifar"}, paper="fail"),
        Row("constant 0.5", {"model.shortcut_scale": 0.5}, paper="fail"),
        Row("constant 0.5 and 0.5", {"model.shortcut_scale": 0.5, "model.branch_scale": 0.5}, paper=12.35),
        Row("exclusive gate bias 0", {"model.gate": "exclusive", "model.gate_bias": 0.0}, paper="fail"),
        Row("exclusive gate bias -6", {"model.gate": "exclusive", "model.gate_bias": -6.0}, paper=8.70),
        Row("exclusive gate bias -7", {"model.gate": "exclusive", "model.gate_bias": -7.0}, paper=9.81),
        Row("shortcut-only gate bias 0", {"model.gate": "shortcut_only", "model.gate_bias": 0.0}, paper=12.86),
        Row("shortcut-only gate bias -6", {"model.gate": "shortcut_only", "model.gate_bias": -6.0}, paper=6.91),
        Row("1x1 convolution", {"model.shortcut": "C"}, paper=12.22),
        Row("dropout 0.5", {"model.shortcut_dropout": 0.5}, paper="fail"),
    ),
    claims=(
        Better("the identity is better than constant scaling", row="original", than="constant 0.5"),
        Better("... also where both paths are scaled", row="original", than="constant 0.5 and 0.5"),
        Better("... than an exclusive gate", row="original", than="exclusive gate bias -6"),
        Better("... than a 1 x 1 convolution", row="original", than="1x1 convolution"),
        Better("... than dropout on the shortcut", row="original", than="dropout 0.5"),
        Better(
            "a gate that starts open to the shortcut is better",
            row="shortcut-only gate bias -6",
            than="shortcut-only gate bias 0",
        ),
    ),
    scales=dict(
        paper=Scale(
            "CIFAR-10, 64,000 steps, as printed",
            {
                **CIFAR10,
                **WARM_UP,
            },
            seeds=5,
        ),
        small=Scale(
            "the embedded 6,000 images of Fashion-MNIST, depth 20 of 8, 16, 32 maps, batch 64, 2 epochs, cosine",
            {
                **SMALL,
                "model.depth": 20,
            },
        ),
    ),
)
