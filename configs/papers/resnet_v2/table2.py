"""Identity mappings, table 2: where the activation goes. He et al. 2016, arXiv:1603.05027.

Run:   python -m scripts.sweep configs/papers/resnet_v2/table2.py

Paper: CIFAR-10, ResNet-110 of basic units with shortcut A, and ResNet-164 of bottlenecks with
shortcut B; as He et al. 2015, with 400 steps of warm-up at lr 0.01. Errors are medians of 5 runs.
"""

from configs.papers.residual import CIFAR10, FULL, RECIPE, SMALL
from configs.resnet_cifar import WARM_UP
from configs.table import Better, Row, Scale, Table

ORDERS = (
    "original",
    "BN after addition",
    "ReLU before addition",
    "ReLU-only pre-activation",
    "full pre-activation",
)


def deeper(name: str, paper: float, parameters: int | None = None) -> Row:
    """The column ResNet-164."""
    order = (
        name.lower().replace("pre-activation", "preactivation").replace(" ", "_").replace("-", "_")
    )
    changes = {
        "model.order": order,
        "model.block": "bottleneck",
        "model.shortcut": "B",
        "model.depth": 164,
    }
    return Row(f"164 {name}", changes, paper, parameters)


TABLE = Table(
    title="Table 2, places of the activation. He et al. 2016",
    says="The paper's numbers are test errors on CIFAR-10.",
    measure="test/error",
    base={
        **RECIPE,
        "model.name": "resnet_v2_cifar",
        "model.block": "basic",
        "model.shortcut": "A",
        "model.depth": 110,
    },
    rows=(
        Row("original", {"model.order": "original"}, paper=6.61, parameters=1_727_962),
        Row("BN after addition", {"model.order": "bn_after_addition"}, paper=8.17),
        Row("ReLU before addition", {"model.order": "relu_before_addition"}, paper=7.84),
        Row("ReLU-only pre-activation", {"model.order": "relu_only_preactivation"}, paper=6.71),
        Row(
            "full pre-activation",
            {"model.order": "full_preactivation"},
            paper=6.37,
            parameters=1_727_962,
        ),
        deeper("original", 5.93, 1_704_154),
        deeper("BN after addition", 6.50),
        deeper("ReLU before addition", 6.14),
        deeper("ReLU-only pre-activation", 5.91),
        deeper("full pre-activation", 5.46, 1_703_258),
    ),
    claims=(
        Better(
            "full pre-activation is better than the original unit",
            row="full pre-activation",
            than="original",
        ),
        Better(
            "BN after addition is worse than the original", row="original", than="BN after addition"
        ),
        Better(
            "ReLU before addition is worse than the original",
            row="original",
            than="ReLU before addition",
        ),
        Better(
            "BN in the pre-activation is what helps",
            row="full pre-activation",
            than="ReLU-only pre-activation",
        ),
        Better(
            "ResNet-164: full pre-activation is better than the original",
            row="164 full pre-activation",
            than="164 original",
        ),
        Better("... and BN after addition worse", row="164 original", than="164 BN after addition"),
        Better("... and ReLU before addition", row="164 original", than="164 ReLU before addition"),
        Better(
            "... and BN is what helps",
            row="164 full pre-activation",
            than="164 ReLU-only pre-activation",
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
            "the embedded 6,000 images of Fashion-MNIST, 8, 16, 32 maps, batch 64, lr 0.05, 2 "
            "epochs, cosine",
            {
                **SMALL,
                "optim.lr": 0.05,
            },
            without=tuple(f"164 {name}" for name in ORDERS),
        ),
    ),
)
