"""Deep residual learning, table 2: plain and residual networks of 18 and 34 layers. He et al. 2015,
arXiv:1512.03385.

Run:   python -m scripts.sweep configs/papers/resnet/table2.py

Paper: ImageNet, 10 crops, shortcut A, so that a plain network and its residual twin have equally
many parameters. On Fashion-MNIST every size of an image is the printed one times that of the crop
over 224.
"""

from configs.cnn_imagenet import recipe
from configs.papers.residual import FULL_IMAGENET, RECIPE, SMALL_IMAGENET
from configs.table import Alike, Better, Row, Scale, Table, Until

PLAIN = {"model.name": "plain"}
RESIDUAL = {"model.name": "resnet", "model.shortcut": "A"}
SHORT = "The training errors of all four are still falling after these 375 steps, and deeper networks fall more slowly."
EARLY = Until("train/error", 50.0)  # the level is ours

TABLE = Table(
    title="Table 2, plain and residual networks of 18 and 34 layers. He et al. 2015",
    says="The paper's numbers are top-1 errors on ImageNet, 10 crops.",
    measure="test/error",
    curve="train/error",
    base={
        **RECIPE,
    },
    rows=(
        Row("plain-18", {**PLAIN, "model.depth": 18}, paper=27.94, parameters=11_515_688),
        Row("plain-34", {**PLAIN, "model.depth": 34}, paper=28.54, parameters=21_623_848),
        Row("ResNet-18", {**RESIDUAL, "model.depth": 18}, paper=27.88, parameters=11_515_688),
        Row("ResNet-34", {**RESIDUAL, "model.depth": 34}, paper=25.03, parameters=21_623_848),
    ),
    claims=(
        Better("34 plain layers have a higher error than 18", row="plain-18", than="plain-34"),
        Better(
            "... in training too: degradation, not overfitting",
            row="plain-18",
            than="plain-34",
            measure="train/error",
        ),
        Better(
            "34 residual layers are better than 18 (2.8% in the paper)",
            row="ResNet-34",
            than="ResNet-18",
            notes=dict(small=SHORT),
        ),
        Better(
            "... in training too",
            row="ResNet-34",
            than="ResNet-18",
            measure="train/error",
            notes=dict(small=SHORT),
        ),
        Better(
            "34 residual layers are better than 34 plain ones (3.5% in the paper)",
            row="ResNet-34",
            than="plain-34",
        ),
        Alike(
            "18 layers are as good either way (within half a point)",
            row="ResNet-18",
            than="plain-18",
            within=0.5,
            notes=dict(small="After so few steps the faster one is ahead."),
        ),
        Better(
            "... and the residual ones converge faster",
            row="ResNet-18",
            than="plain-18",
            measure=EARLY,
        ),
    ),
    scales=dict(
        paper=Scale("ImageNet-2012, 600,000 steps of 256", recipe("resnet")),
        full=Scale(
            "all 60,000 images of Fashion-MNIST, crops of 64, as many epochs as on ImageNet",
            FULL_IMAGENET,
        ),
        small=Scale(
            "the embedded 6,000 images of Fashion-MNIST, crops of 32, a quarter of the width, "
            "batch 64, 4 epochs, cosine",
            SMALL_IMAGENET,
        ),
    ),
)
