"""Deep residual learning, table 3: shortcuts A, B and C. He et al. 2015, arXiv:1512.03385.

Run:   python -m scripts.sweep configs/papers/resnet/shortcuts.py

Paper: ResNet-34 on ImageNet, 10 crops, which needs streamed data. Here: networks of CIFAR's form, where the paper uses A alone.
"""

from configs.papers.residual import CIFAR10, RECIPE, SMALL, WARM_UP
from configs.table import Alike, Better, Row, Scale, Table

TABLE = Table(
    title="Table 3, shortcuts A, B, C. He et al. 2015",
    says="The paper's numbers are top-1 errors of ResNet-34 and plain-34 on ImageNet, 10 crops.",
    measure="test/error",
    base={
        **RECIPE,
        "model.name": "resnet_cifar",
    },
    rows=(
        Row("plain", {"model.name": "plain_cifar"}, paper=28.54),
        Row("A: zero padding", {"model.shortcut": "A"}, paper=25.03),
        Row("B: projections where sizes change", {"model.shortcut": "B"}, paper=24.52),
        Row("C: projections everywhere", {"model.shortcut": "C"}, paper=24.19),
    ),
    claims=(
        Better("all three beat the plain network: A", row="A: zero padding", than="plain"),
        Better("B is slightly better than A", row="B: projections where sizes change", than="A: zero padding"),
        Better("C is marginally better than B", row="C: projections everywhere", than="B: projections where sizes change"),
        Alike("the differences are small (within 1%)", row="C: projections everywhere", than="A: zero padding", within=1.0),
    ),
    scales=dict(
        full=Scale(
            "CIFAR-10, depth 32, 64,000 steps",
            {
                **CIFAR10,
                **WARM_UP,
                "model.depth": 32,
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
