"""Deep residual learning, tables 3 and 4: shortcuts A, B and C, bottlenecks, five scales. He et al.
2015, arXiv:1512.03385.

Run:   python -m scripts.sweep configs/papers/resnet/shortcuts.py

Paper: 34 layers on ImageNet, 10 crops; 50 and more are bottlenecks with shortcut B. Table 4 judges
the same networks fully convolutionally, by the whole image (on ImageNet here the square in its
middle) and its mirror at five scales: here their last pooling is over all of the map. At small
scale: networks of CIFAR's form, where the paper uses A alone, trained at one scale. Table 5, an
  ensemble of six networks of different depth, is not here: eval.ensemble is of the seeds of a row.
"""

from configs.cnn_imagenet import recipe
from configs.papers.residual import FULL_IMAGENET, RECIPE, SMALL
from configs.table import Alike, Better, Ordered, Row, Scale, Table

B = "B: projections where sizes change"
C = "C: projections everywhere"
FIVE = (224, 256, 384, 480, 640)  # pixels, of the shorter side


def bottlenecks(depth: int, paper: float, parameters: int) -> Row:
    return Row(f"ResNet-{depth}", {"model.shortcut": "B", "model.depth": depth}, paper, parameters)


def at_five(of: str, paper: float) -> Row:
    """Of table 4."""
    return Row(f"{of} at 5 scales", {"data.views": "dense", "data.eval_scales": FIVE}, paper, of=of)


AT_FIVE = (
    at_five(B, 21.84),
    at_five(C, 21.53),
    at_five("ResNet-50", 20.74),
    at_five("ResNet-101", 19.87),
    at_five("ResNet-152", 19.38),
)

TABLE = Table(
    title="Tables 3 and 4, shortcuts A, B, C, bottlenecks, five scales. He et al. 2015",
    says="The paper's numbers are top-1 errors on ImageNet, of 34 layers unless the row says "
    "more, by 10 crops or at 5 scales.",
    measure="test/error",
    base={
        **RECIPE,
        "model.name": "resnet_cifar",
    },
    rows=(
        Row("plain", {"model.name": "plain_cifar"}, paper=28.54, parameters=21_623_848),
        Row("A: zero padding", {"model.shortcut": "A"}, paper=25.03, parameters=21_623_848),
        Row(B, {"model.shortcut": "B"}, paper=24.52, parameters=21_797_672),
        Row(C, {"model.shortcut": "C"}, paper=24.19, parameters=22_716_840),
        bottlenecks(50, 22.85, 25_557_032),
        bottlenecks(101, 21.75, 44_549_160),
        bottlenecks(152, 21.43, 60_192_808),
        *AT_FIVE,
    ),
    claims=(
        Better("all three beat the plain network: A", row="A: zero padding", than="plain"),
        Better("... B", row=B, than="plain"),
        Better("... C", row=C, than="plain"),
        Better("B is slightly better than A", row=B, than="A: zero padding"),
        Better("C is marginally better than B", row=C, than=B),
        Alike("the differences are small (within 1%)", row=C, than="A: zero padding", within=1.0),
        Ordered(
            "the deeper, the better: 152, 101, 50, 34 layers",
            order=("ResNet-152", "ResNet-101", "ResNet-50", B),
        ),
        Ordered(
            "... at 5 scales too (table 4)",
            order=tuple(
                f"{name} at 5 scales" for name in ("ResNet-152", "ResNet-101", "ResNet-50", B)
            ),
        ),
        Better(
            "5 scales are best (section 3.4): than 10 crops",
            row="ResNet-152 at 5 scales",
            than="ResNet-152",
        ),
    ),
    scales=dict(
        paper=Scale(
            "ImageNet-2012, 600,000 steps of 256",
            {**recipe("resnet"), "model.depth": 34},
            rows={
                "plain": {"model.name": "plain"},
                **{
                    row.name: {"data.eval_side": max(FIVE), "eval.batch_size": 16}
                    for row in AT_FIVE
                },
            },
        ),
        full=Scale(
            "all 60,000 images of Fashion-MNIST, crops of 64, as many epochs as on ImageNet",
            {**FULL_IMAGENET, "model.depth": 34},
            rows={
                "plain": {"model.name": "plain"},
                **{
                    row.name: {"data.eval_scales": tuple(round(size * 64 / 224) for size in FIVE)}
                    for row in AT_FIVE
                },
            },
        ),
        small=Scale(
            "the embedded 6,000 images of Fashion-MNIST, depth 32 of 8, 16, 32 maps, batch 64, 2 "
            "epochs, cosine",
            {
                **SMALL,
                "model.depth": 32,
            },
            without=("ResNet-50", "ResNet-101", "ResNet-152", *(row.name for row in AT_FIVE)),
            seeds=10,
        ),
    ),
)
