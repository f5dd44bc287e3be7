"""Identity mappings, table 1: what multiplies the shortcut. He et al. 2016, arXiv:1603.05027.

Run:   python -m scripts.sweep configs/papers/resnet_v2/table1.py

Paper: CIFAR-10, ResNet-110 of original units; medians of 5 runs; "fail" is a test error above 20%.
Otherwise as table 2. The bias of a gate was chosen among 0, -1, ..., -10; printed are 0 to -7 of
exclusive gates, and two of the others.
"""

from configs.papers.residual import CIFAR10, FULL, RECIPE, SMALL
from configs.resnet_cifar import WARM_UP
from configs.table import Alike, Better, Row, Scale, Table


def gated(gate: str, bias: int, paper: float | str) -> Row:
    changes = {"model.gate": gate.replace("-", "_"), "model.gate_bias": float(bias)}
    return Row(f"{gate} gate bias {bias}", changes, paper)


TABLE = Table(
    title="Table 1, multiplicative shortcuts. He et al. 2016",
    says="The paper's numbers are test errors on CIFAR-10.",
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
        Row("plain", {"model.shortcut": "none"}, paper="fail"),
        Row("constant 0.5", {"model.shortcut_scale": 0.5}, paper="fail"),
        Row(
            "constant 0.5 and 0.5",
            {"model.shortcut_scale": 0.5, "model.branch_scale": 0.5},
            paper=12.35,
        ),
        *(gated("exclusive", bias, "fail") for bias in (0, -1, -2, -3, -4, -5)),
        gated("exclusive", -6, 8.70),
        gated("exclusive", -7, 9.81),
        gated("shortcut-only", 0, 12.86),
        gated("shortcut-only", -6, 6.91),
        Row("1x1 convolution", {"model.shortcut": "C"}, paper=12.22),
        Row("dropout 0.5", {"model.shortcut_dropout": 0.5}, paper="fail"),
    ),
    claims=(
        Better("the identity is better than no shortcut", row="original", than="plain"),
        Better("... than constant scaling", row="original", than="constant 0.5"),
        Better("... also where both paths are scaled", row="original", than="constant 0.5 and 0.5"),
        Better("... than an exclusive gate", row="original", than="exclusive gate bias -6"),
        Better("... than a gate on the shortcut", row="original", than="shortcut-only gate bias 0"),
        Better("... than a 1 x 1 convolution", row="original", than="1x1 convolution"),
        Better("... than dropout on the shortcut", row="original", than="dropout 0.5"),
        Better(
            "a gate that starts open to the shortcut is better",
            row="shortcut-only gate bias -6",
            than="shortcut-only gate bias 0",
        ),
        Better(
            "... of exclusive gates too",
            row="exclusive gate bias -6",
            than="exclusive gate bias 0",
            notes=dict(
                small="An exclusive gate that starts at -6 lets 0.25% of the residual through, "
                "and these 188 steps do not open "
                "it (the paper has 64,000): the lower the bias, the less is learned."
            ),
        ),
        Better(
            "... and -7 is too low", row="exclusive gate bias -6", than="exclusive gate bias -7"
        ),
        Alike(
            "a gate on the shortcut that starts open is near the identity (within half a point)",
            row="shortcut-only gate bias -6",
            than="original",
            within=0.5,
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
        full=Scale(
            "all 60,000 images of Fashion-MNIST, 64,000 steps",
            {
                **FULL,
                **WARM_UP,
            },
        ),
        small=Scale(
            "the embedded 6,000 images of Fashion-MNIST, depth 20 of 8, 16, 32 maps, batch 64, 2 "
            "epochs, cosine",
            {
                **SMALL,
                "model.depth": 20,
            },
            without=tuple(f"exclusive gate bias {bias}" for bias in (-1, -2, -4, -5)),
        ),
    ),
)
