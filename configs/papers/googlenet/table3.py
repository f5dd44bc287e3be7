"""Going deeper with convolutions, table 3: crops and ensembles. Szegedy et al. 2014,
arXiv:1409.4842.

Run:   python -m scripts.sweep configs/papers/googlenet/table3.py

One row trains; the others judge its networks otherwise. 10 crops are Krizhevsky's, 144 those of
section 7: four scales, three squares of each, six places in a square, and their mirror images. An
ensemble averages the probabilities of several seeds; ensembles have no seed in common, and are
compared with single networks by their first seed. At scale `paper` there is one of 7, as in the
paper, which decides no claim: --seeds=21 makes three. Of photographs evaluation sees the central
  square, so that at scale `paper` the three squares are one.
"""

from configs.cnn_imagenet import recipe
from configs.papers.imagenet import full
from configs.papers.inception import SMALL
from configs.table import Better, Ordered, Row, Scale, Table

SINGLE = "1 model 1 crop"
ENSEMBLE = {"eval.ensemble": 3}
TEN, MANY = {"data.views": "ten"}, {"data.views": "squares", "data.eval_scales": (36, 40, 44, 50)}
ENSEMBLES = [f"ensemble {crops}" for crops in ("1 crop", "10 crops", "144 crops")]
SMALL_IMAGES = {
    "data.pad": 0,
    "data.crop": 32,
    "data.eval_scales": (36,),
    "data.views": "centre",
    "model.auxiliary_pool": "adaptive",
    "eval.batch_size": 50,
}
PHOTOGRAPHS = {
    "data.eval_side": 352,
    "data.eval_scales": (256, 288, 320, 352),
    "eval.batch_size": 16,
}

TABLE = Table(
    title="Table 3, crops and ensembles. Szegedy et al. 2014",
    says="The paper's numbers are top-5 errors on ImageNet, of ensembles of 7; ours are top-1 "
    "errors.",
    measure="test/error",
    base={"model.name": "googlenet"},
    rows=(
        Row(SINGLE, paper=10.07, parameters=13_378_280),
        Row("1 model 10 crops", TEN, 9.15, of=SINGLE),
        Row("1 model 144 crops", MANY, 7.89, of=SINGLE),
        Row("ensemble 1 crop", ENSEMBLE, 8.09, of=SINGLE),
        Row("ensemble 10 crops", {**TEN, **ENSEMBLE}, 7.62, of=SINGLE),
        Row("ensemble 144 crops", {**MANY, **ENSEMBLE}, 6.67, of=SINGLE),
    ),
    claims=(
        Ordered("more crops help", order=("1 model 144 crops", "1 model 10 crops", SINGLE)),
        Ordered(
            "... an ensemble too",
            order=("ensemble 144 crops", "ensemble 10 crops", "ensemble 1 crop"),
        ),
        Better("an ensemble helps, with 1 crop", row="ensemble 1 crop", than=SINGLE),
        Better("... with 144 crops", row="ensemble 144 crops", than="1 model 144 crops"),
        Better(
            "an ensemble of 1 crop beats one model of 10",
            row="ensemble 1 crop",
            than="1 model 10 crops",
        ),
    ),
    scales=dict(
        paper=Scale(
            "ImageNet-2012, 10,000,000 steps of 32; an ensemble of 7",
            {**recipe("googlenet"), "eval.batch_size": 64},
            rows={
                "1 model 144 crops": PHOTOGRAPHS,
                **{
                    name: {"eval.ensemble": 7, **(PHOTOGRAPHS if "144" in name else {})}
                    for name in ENSEMBLES
                },
            },
            seeds=7,
        ),
        full=Scale(
            "all 60,000 images of Fashion-MNIST rescaled to 36, crops of 32, as many epochs as on "
            "ImageNet; "
            "ensembles of 3 of 9 seeds",
            full("googlenet", SMALL_IMAGES),
            seeds=9,
        ),
        small=Scale(
            "the embedded 6,000 images of Fashion-MNIST rescaled to 36, crops of 32, a quarter of "
            "the width, batch 64, "
            "6 epochs; ensembles of 3 of 9 seeds",
            {
                **SMALL,
                **SMALL_IMAGES,
                "data.jitter": (36, 44),
                "optim.steps": "6 epochs",
            },
            seeds=9,
        ),
    ),
)
