"""Very deep convolutional networks: configurations A to E. Simonyan & Zisserman 2014, table 3.

Run:   python -m scripts.sweep configs/papers/vgg/depth.py

Paper: ImageNet, which needs streamed data; here small images. Weights start at He et al.'s scale, nothing is pre-trained.
"""

from configs.table import Alike, Better, Ordered, Row, Scale, Table


def configuration(letter: str, paper: float) -> Row:
    return Row(letter, {"model.configuration": letter}, paper=paper)


TABLE = Table(
    title="Table 3, depth. Simonyan & Zisserman 2014",
    says="The paper's numbers are top-1 errors on ImageNet at one scale (S = Q = 256).",
    measure="test/error",
    base={
        "model.name": "vgg",
        "model.initialiser": "he_fan_in",
        "optim.name": "momentum",
        "optim.weight_decay": 5e-4,
        "steps_per_dispatch": 25,
    },
    rows=(
        configuration("A", 29.6),
        configuration("A-LRN", 29.7),
        configuration("B", 28.7),
        configuration("C", 28.1),
        configuration("D", 27.0),
        configuration("E", 27.3),
    ),
    claims=(
        Alike(
            "local response normalisation does not help (A-LRN against A, within half a point)",
            row="A-LRN",
            than="A",
            within=0.5,
        ),
        Ordered("depth helps: D, B, A", order=("D", "B", "A")),
        Better("3 x 3 convolutions beat 1 x 1 in the added layers", row="D", than="C"),
        Better("... and C, with them, still beats B", row="C", than="B"),
    ),
    scales=dict(
        small=Scale(
            "the embedded 6,000 images of Fashion-MNIST at 32 x 32, an eighth of the width, batch 64, 8 epochs",
            {
                "data.name": "fashion_mnist",
                "data.source": "embedded",
                "data.pad": 2,
                "data.flip": True,
                "data.batch_size": 64,
                "model.image_size": 32,
                "model.width": 0.125,
                "optim.lr": 0.02,
                "optim.clip_norm": 1.0,
                "optim.steps": "8 epochs",
                "schedule.name": "cosine",
                "schedule.warmup": 50,
                "eval.every": "2 epochs",
                "log.every": "1 epoch",
                "checkpoint.every": "4 epochs",
            },
        ),
    ),
)
