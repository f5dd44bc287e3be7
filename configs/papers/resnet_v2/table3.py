"""Identity mappings, table 3: original against pre-activation units, by depth and data. He et al.
2016, arXiv:1603.05027.

Run:   python -m scripts.sweep configs/papers/resnet_v2/table3.py

Errors are medians of 5 runs. In the first two rows each shortcut skips one layer, not two. The one
by batches of 64 is of table 4. Small scale: 9 units (of one layer 18) for depths 110 and 164, 27
for 1001.
"""

from configs.papers.residual import CIFAR10, FULL, RECIPE, SMALL
from configs.resnet_cifar import WARM_UP
from configs.table import Better, Row, Scale, Table

ORIGINAL = {"model.order": "original"}
BASIC = {"model.block": "basic", "model.shortcut": "A", "model.depth": 110}
SINGLE = {**BASIC, "model.block": "single"}
C100 = {"data.name": "cifar100"}

ON_CIFAR100 = tuple(
    f"{depth} {order} on CIFAR-100"
    for depth in (164, 1001)
    for order in ("original", "pre-activation")
)

BY_64 = "1001 pre-activation by batches of 64"

TABLE = Table(
    title="Table 3, original and pre-activation units. He et al. 2016",
    says="The paper's numbers are test errors on CIFAR-10, unless the row says CIFAR-100.",
    measure="test/error",
    base={
        **RECIPE,
        "model.name": "resnet_v2_cifar",
    },
    rows=(
        Row("110 by one layer original", {**SINGLE, **ORIGINAL}, paper=9.90),
        Row("110 by one layer pre-activation", SINGLE, paper=8.91),
        Row("110 original", {**BASIC, **ORIGINAL}, paper=6.61, parameters=1_727_962),
        Row("110 pre-activation", BASIC, paper=6.37, parameters=1_727_962),
        Row("164 original", {"model.depth": 164, **ORIGINAL}, paper=5.93, parameters=1_704_154),
        Row("164 pre-activation", {"model.depth": 164}, paper=5.46, parameters=1_703_258),
        Row("1001 original", {"model.depth": 1001, **ORIGINAL}, paper=7.61, parameters=10_328_602),
        Row("1001 pre-activation", {"model.depth": 1001}, paper=4.92, parameters=10_327_706),
        Row(BY_64, {"model.depth": 1001, "data.batch_size": 64}, paper=4.62, parameters=10_327_706),
        Row(
            "164 original on CIFAR-100",
            {"model.depth": 164, **ORIGINAL, **C100},
            paper=25.16,
            parameters=1_727_284,
        ),
        Row(
            "164 pre-activation on CIFAR-100",
            {"model.depth": 164, **C100},
            paper=24.33,
            parameters=1_726_388,
        ),
        Row(
            "1001 original on CIFAR-100",
            {"model.depth": 1001, **ORIGINAL, **C100},
            paper=27.82,
            parameters=10_351_732,
        ),
        Row(
            "1001 pre-activation on CIFAR-100",
            {"model.depth": 1001, **C100},
            paper=22.71,
            parameters=10_350_836,
        ),
    ),
    claims=(
        Better(
            "pre-activation is better at depth 110", row="110 pre-activation", than="110 original"
        ),
        Better(
            "... where shortcuts skip one layer",
            row="110 by one layer pre-activation",
            than="110 by one layer original",
        ),
        Better("... at depth 164", row="164 pre-activation", than="164 original"),
        Better("... 1001", row="1001 pre-activation", than="1001 original"),
        Better(
            "depth 1001 beats 164 with pre-activation",
            row="1001 pre-activation",
            than="164 pre-activation",
        ),
        Better("... and not with original units", row="164 original", than="1001 original"),
        Better(
            "batches of 64 are better for 1001 (table 4)", row=BY_64, than="1001 pre-activation"
        ),
        Better(
            "CIFAR-100: at 164",
            row="164 pre-activation on CIFAR-100",
            than="164 original on CIFAR-100",
        ),
        Better(
            "CIFAR-100: at 1001",
            row="1001 pre-activation on CIFAR-100",
            than="1001 original on CIFAR-100",
        ),
    ),
    scales=dict(
        paper=Scale(
            "CIFAR-10 and -100, 64,000 steps, as printed",
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
            without=ON_CIFAR100,
        ),
        small=Scale(
            "the embedded 6,000 images of Fashion-MNIST, 8, 16, 32 maps, depths 20 for 110, 29 "
            "for 164 and 83 for 1001, batch "
            "64, 2 epochs, cosine",
            SMALL,
            rows={
                f"{depth} {order}": {"model.depth": of}
                for depth, of in (("110 by one layer", 20), ("110", 20), ("164", 29), ("1001", 83))
                for order in ("original", "pre-activation")
            },
            without=(BY_64, *ON_CIFAR100),
        ),
    ),
)
