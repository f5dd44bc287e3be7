"""Very deep convolutional networks, tables 3 to 5: depth, scales, crops. Simonyan & Zisserman 2014,
arXiv:1409.1556.

Run:   python -m scripts.sweep configs/papers/vgg/depth.py

Table 3 trains, at one scale S; C, D and E go on from there at S = 384 and a tenth of the rate, then
with S from 256 to 512, for how long and with which falls of the rate is ours. It judges a network
at one scale Q, by the whole image (on ImageNet here the square in its middle) and its mirror, fully
convolutionally. Table 4 judges the same networks at three scales, and table 5 by 50 crops of each.
B-shallow has a 5 x 5 convolution for each pair of 3 x 3 ones (section 4.1). The paper copied the
outer layers of deep networks from A; here, as in its later remark, weights start by Glorot &
Bengio's rule, and at `small` and `medium` by He et al.'s. Images of Fashion-MNIST have the printed
sizes at `full` and a seventh of each at `small` and `medium`, 32 for 224. There 37 pixels, which
stand for 256, have one place in the last map, and that sees the upper left; so the 32 pixels in the
middle are judged, at each scale Q. Tables 6 and 7 are of ensembles of different networks (D with E,
and seven), which are not here, as eval.ensemble is of the seeds of a row; the single network of
table 7 is "E at 256 to 512 by multi-crop and dense"."""

from configs.cnn_imagenet import recipe
from configs.papers.imagenet import full, in_epochs
from configs.table import Alike, Better, Ordered, Row, Scale, Table

PARAMETERS = {
    "A": 132_863_336,
    "A-LRN": 132_863_336,
    "B": 133_047_848,
    "B-shallow": 134_503_528,
    "C": 133_638_952,
    "D": 138_357_544,
    "E": 143_667_240,
}
ONE_VIEW = {"data.views": "centre"}


def trained(
    name: str, S: tuple[int, int], Q: int, paper: float | None, of: str | None = None
) -> Row:
    """S: lowest and highest length of the shorter side in training, in pixels; Q: the length in
    evaluation."""
    configuration = name.split()[0]
    changes = {"model.configuration": configuration, "data.jitter": S, "data.eval_scales": (Q,)}
    return Row(name, changes, paper, PARAMETERS[configuration], of)


def judged(of: str, how: str, changes: dict[str, object], paper: float | str | None) -> Row:
    return Row(f"{of} by {how}", changes, paper, PARAMETERS[of.split()[0]], of)


def at_three(of: str, Q: tuple[int, int, int], paper: float) -> Row:
    return judged(of, "3 scales", {"data.eval_scales": Q}, paper)


def cropped(of: str, crops: float, both: float) -> tuple[Row, Row]:
    """Table 5: by crops, and by these and densely."""
    rows = (("multi-crop", "grid", crops), ("multi-crop and dense", "grid+dense", both))
    return tuple(
        judged(of, how, {"data.views": views, "data.eval_scales": WIDE}, paper)
        for how, views, paper in rows
    )


FIXED, NEAR, FAR, WIDE = (256, 256), (224, 256, 288), (352, 384, 416), (256, 384, 512)
JITTERED = {letter: f"{letter} at 256 to 512" for letter in "CDE"}
ROWS = (
    trained("A", FIXED, 256, 29.6),
    trained("A-LRN", FIXED, 256, 29.7),
    trained("B", FIXED, 256, 28.7),
    trained("C", FIXED, 256, 28.1),
    trained("C at 384", (384, 384), 384, 28.1, of="C"),
    trained(JITTERED["C"], (256, 512), 384, 27.3, of="C at 384"),
    trained("D", FIXED, 256, 27.0),
    trained("D at 384", (384, 384), 384, 26.8, of="D"),
    trained(JITTERED["D"], (256, 512), 384, 25.6, of="D at 384"),
    trained("E", FIXED, 256, 27.3),
    trained("E at 384", (384, 384), 384, 26.9, of="E"),
    trained(JITTERED["E"], (256, 512), 384, 25.5, of="E at 384"),
    trained("B-shallow", FIXED, 256, None),
    judged("B-shallow", "one view", ONE_VIEW, "+7"),
    judged("B", "one view", ONE_VIEW, None),
    at_three("B", NEAR, 28.2),
    at_three("C", NEAR, 27.7),
    at_three("C at 384", FAR, 27.8),
    at_three(JITTERED["C"], WIDE, 26.3),
    at_three("D", NEAR, 26.6),
    at_three("D at 384", FAR, 26.5),
    at_three(JITTERED["D"], WIDE, 24.8),
    at_three("E", NEAR, 26.9),
    at_three("E at 384", FAR, 26.7),
    at_three(JITTERED["E"], WIDE, 24.8),
    *cropped(JITTERED["D"], 24.6, 24.4),
    *cropped(JITTERED["E"], 24.6, 24.4),
)


def a_seventh(row: Row) -> dict[str, object]:
    """A row's sizes where the printed 224 pixels are 32."""
    sizes = {
        key: row.changes[key] for key in ("data.jitter", "data.eval_scales") if key in row.changes
    }
    return {key: tuple(round(size / 7) for size in of) for key, of in sizes.items()}


def goes_on(at_384: dict[str, object], jittered: dict[str, object]) -> dict[str, dict[str, object]]:
    return {
        name: changes
        for letter in "CDE"
        for name, changes in ((f"{letter} at 384", at_384), (JITTERED[letter], jittered))
    }


def of_rows(sizes, *more: dict[str, dict[str, object]]) -> dict[str, dict[str, object]]:
    """sizes: what a row's sizes become at a scale; more: what else its rows change."""
    return {
        row.name: {
            k: v for of in (*more, {row.name: sizes(row)}) for k, v in of.get(row.name, {}).items()
        }
        for row in ROWS
    }


AT_384 = {"optim.lr": 1e-3, "optim.steps": 520_000, "schedule.boundaries": (420_000, 470_000)}
AT_256_TO_512 = {
    "optim.lr": 1e-3,
    "optim.steps": 670_000,
    "schedule.boundaries": (570_000, 620_000),
}
SMALL = {
    "data.name": "fashion_mnist",
    "data.pad": 0,
    "data.crop": 32,
    "data.views": "centre",
    "data.flip": True,
    "data.batch_size": 64,
    "model.image_size": 32,
    "model.initialiser": "he_fan_in",
    "model.width": 0.125,
    "optim.name": "momentum",
    "optim.weight_decay": 5e-4,
    "optim.lr": 0.02,
    "optim.clip_norm": 1.0,
    "schedule.name": "cosine",
    "schedule.warmup": 50,
    "steps_per_dispatch": 25,
    "eval.batch_size": 50,
}
# of an image of 55 pixels, which stand for 384, the middle 32 are a third
OF_SMALL = dict(rows=of_rows(a_seventh), without=tuple(f"{letter} at 384" for letter in "CDE"))

TABLE = Table(
    title="Tables 3, 4 and 5, depth, scales and crops. Simonyan & Zisserman 2014",
    says="The paper's numbers are top-1 errors on ImageNet; that of B-shallow, points above B's, "
    "both by one view.",
    measure="test/error",
    curve="train/error",
    base={"model.name": "vgg"},
    rows=ROWS,
    claims=(
        Alike(
            "local response normalisation does not help (A-LRN against A, within half a point)",
            row="A-LRN",
            than="A",
            within=0.5,
        ),
        Ordered("depth helps: D, B, A", order=("D", "B", "A")),
        Alike(
            "... and is saturated at 19 layers (E against D, within half a point)",
            row="E",
            than="D",
            within=0.5,
            notes=dict(
                medium="E is behind in training too, 19.4% against 18.4%, after three passes."
            ),
        ),
        Better("3 x 3 convolutions beat 1 x 1 in the added layers", row="D", than="C"),
        Better(
            "... and C, with them, still beats B",
            row="C",
            than="B",
            notes=dict(
                medium="Nor does it in training, 19.5% against 18.2%: deeper ones learn slower."
            ),
        ),
        Better(
            "a deep network of small filters beats a shallow one of large",
            row="B by one view",
            than="B-shallow by one view",
            notes=dict(
                medium="Nor does it in training, 18.2% against 17.0%; three passes over all "
                "images are too few as well.",
                small="Nor does it in training, 20.8% against 19.2%: 15 passes over 6,000 images "
                "at an eighth of the width are "
                "too few to tell what depth is worth, as the shallowest are the fastest (E, of 19 "
                "layers: 21.6%).",
            ),
        ),
        *(
            Better(
                f"training at many scales beats one (section 4.1): {letter}",
                row=JITTERED[letter],
                than=f"{letter} at 384",
            )
            for letter in "CDE"
        ),
        *(
            Better(
                f"judging at 3 scales beats one (section 4.2): {row}",
                row=f"{row} by 3 scales",
                than=row,
            )
            for row in ("B", "C", "D", "E", *JITTERED.values())
        ),
        *(
            Better(
                f"... and the deepest are the best: {letter}",
                row=f"{JITTERED[letter]} by 3 scales",
                than=f"{JITTERED['C']} by 3 scales",
            )
            for letter in "DE"
        ),
        *(
            Ordered(
                "crops do slightly better than dense evaluation, both together better than "
                f"either (section 4.3): {letter}",
                order=tuple(
                    f"{JITTERED[letter]} by {how}"
                    for how in ("multi-crop and dense", "multi-crop", "3 scales")
                ),
            )
            for letter in "DE"
        ),
    ),
    scales=dict(
        paper=Scale(
            "ImageNet-2012, S = 256 for 370,000 steps, S = 384 and S from 256 to 512 for 150,000 "
            "more each",
            {**recipe("vgg"), "eval.batch_size": 16},
            rows=of_rows(
                lambda row: (
                    {"data.eval_side": max(row.changes["data.eval_scales"])}
                    if "data.eval_scales" in row.changes
                    else {}
                ),
                goes_on(AT_384, AT_256_TO_512),
            ),
        ),
        full=Scale(
            "all 60,000 images of Fashion-MNIST at the paper's sizes, as many epochs as on "
            "ImageNet",
            full("vgg", {"data.pad": 0, "data.crop": 224, "data.views": "dense"}),
            rows=goes_on(in_epochs(AT_384, 256), in_epochs(AT_256_TO_512, 256)),
        ),
        medium=Scale(
            "all 60,000 images of Fashion-MNIST, crops of 32, an eighth of the width, 3 epochs",
            {
                **SMALL,
                "data.source": "files",
                "optim.steps": "3 epochs",
                "eval.every": "3 epochs",
                "log.every": "0.2 epochs",
                "checkpoint.every": "0.5 epochs",
            },
            **OF_SMALL,
            seeds=5,
        ),
        small=Scale(
            "the embedded 6,000 images of Fashion-MNIST, crops of 32, an eighth of the width, 15 "
            "epochs",
            {
                **SMALL,
                "data.source": "embedded",
                "optim.steps": "15 epochs",
                "eval.every": "15 epochs",
                "log.every": "1 epoch",
                "checkpoint.every": "2 epochs",
            },
            **OF_SMALL,
            seeds=6,
        ),
    ),
)
