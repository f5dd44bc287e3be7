"""Deep residual learning, table 3: shortcuts A, B and C, and bottlenecks. He et al. 2015, arXiv:1512.03385.

Run:   python -m scripts.sweep configs/papers/resnet/shortcuts.py

Paper: 34 layers on ImageNet, 10 crops; 50 and more are bottlenecks with shortcut B. At small scale: networks of CIFAR's form,
where the paper uses A alone.
"""

from configs.cnn_imagenet import recipe
from configs.papers.residual import FULL_IMAGENET, RECIPE, SMALL
from configs.table import Alike, Better, Ordered, Row, Scale, Table

B = "B: projections where sizes change"


def bottlenecks(depth: int, paper: float, parameters: int) -> Row:
    return Row(f"ResNet-{depth}", {"model.shortcut": "B", "model.depth": depth}, paper, parameters)


TABLE = Table(
    title="Table 3, shortcuts A, B, C, and bottlenecks. He et al. 2015",
    says="The paper's numbers are top-1 errors on ImageNet, 10 crops, of 34 layers where the row does not say more.",
    measure="test/error",
    base={
        **RECIPE,
        "model.name": "resnet_cifar",
    },
    rows=(
        Row("plain", {"model.name": "plain_cifar"}, paper=28.54, parameters=21_623_848),
        Row("A: zero padding", {"model.shortcut": "A"}, paper=25.03, parameters=21_623_848),
        Row(B, {"model.shortcut": "B"}, paper=24.52, parameters=21_797_672),
        Row("C: projections everywhere", {"model.shortcut": "C"}, paper=24.19, parameters=22_716_840),
        bottlenecks(50, 22.85, 25_557_032),
        bottlenecks(101, 21.75, 44_549_160),
        bottlenecks(152, 21.43, 60_192_808),
    ),
    claims=(
        Better("all three beat the plain network: A", row="A: zero padding", than="plain"),
        Better("... B", row=B, than="plain"),
        Better("... C", row="C: projections everywhere", than="plain"),
        Better("B is slightly better than A", row=B, than="A: zero padding"),
        Better("C is marginally better than B", row="C: projections everywhere", than=B),
        Alike("the differences are small (within 1%)", row="C: projections everywhere", than="A: zero padding", within=1.0),
        Ordered("the deeper, the better: 152, 101, 50, 34 layers", order=("ResNet-152", "ResNet-101", "ResNet-50", B)),
    ),
    scales=dict(
        paper=Scale(
            "ImageNet-2012, 600,000 steps of 256",
            {**recipe("resnet"), "model.depth": 34},
            rows={"plain": {"model.name": "plain"}},
        ),
        full=Scale(
            "all 60,000 images of Fashion-MNIST, crops of 64, as many epochs as on ImageNet",
            {**FULL_IMAGENET, "model.depth": 34},
            rows={"plain": {"model.name": "plain"}},
        ),
        small=Scale(
            "the embedded 6,000 images of Fashion-MNIST, depth 20 of 8, 16, 32 maps, batch 64, 2 epochs, cosine",
            {
                **SMALL,
                "model.depth": 20,
            },
            without=("ResNet-50", "ResNet-101", "ResNet-152"),
        ),
    ),
)
