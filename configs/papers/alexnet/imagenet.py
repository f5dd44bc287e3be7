"""ImageNet classification with deep convolutional neural networks: what each piece is worth.
Krizhevsky et al. 2012.

Run:   python -m scripts.sweep configs/papers/alexnet/imagenet.py

Sections 3.2 to 3.4, 4.1, 4.2 and 7. The paper prints what a piece changes on ILSVRC-2010, in points
of top-1 error, ten crops; here it is ILSVRC-2012. On Fashion-MNIST: the paper's protocol on small
images. 28 pixels are rescaled to 72, a crop of 64 is trained on and ten are judged; the weights
start at He et al.'s scale and the biases at 0, as with the printed N(0, 0.01^2) the loss stays flat
there.
"""

from configs.cnn_imagenet import recipe
from configs.papers.imagenet import full
from configs.table import Better, Row, Scale, Table, Until

FULL = "as printed"
LEARNED = Until("train/error", 20.0)
SMALL_IMAGES = {
    "data.pad": 0,
    "data.jitter": (72, 72),
    "data.crop": 64,
    "data.eval_scales": (72,),
    "model.image_size": 64,
    "model.initialiser": "he_fan_in",
    "model.bias": 0.0,
}
UNCUT = {
    "without crops and mirrors": {
        "data.jitter": (64, 64),
        "data.views": "centre",
        "data.eval_scales": (64,),
    }
}

TABLE = Table(
    title="Sections 3 to 7, pieces of the network and its training. Krizhevsky et al. 2012",
    says="The paper's numbers are top-1 errors of ILSVRC-2010 with ten crops; with a sign, what "
    "leaving a piece out adds.",
    measure="test/error",
    curve="train/error",
    base={
        "model.name": "alexnet",
        "optim.name": "momentum",
        "optim.lr": 0.01,
        "optim.weight_decay": 5e-4,
        "data.flip": True,
        "data.views": "ten",
        "steps_per_dispatch": 25,
    },
    rows=(
        Row(FULL, paper=37.5, parameters=60_965_224),
        Row("one view", {"data.views": "centre"}, paper=39.0, parameters=60_965_224, of=FULL),
        Row(
            "half the maps on one GPU",
            {"model.groups": 1, "model.maps": (48, 128, 192, 192, 256)},
            "+1.7",
            59_798_312,
        ),
        Row("without response normalisation", {"model.lrn": False}, "+1.4", 60_965_224),
        Row("pools without overlap", {"model.overlap": False}, "+0.4"),
        Row("without colour noise", {"data.pca": 0.0}, "+1", 60_965_224),
        Row("without crops and mirrors", {"data.flip": False}, parameters=60_965_224),
        Row("without dropout", {"model.dropout": 0.0}, parameters=60_965_224),
        Row("without conv3", {"model.maps": (96, 256, 0, 384, 256)}, "+2"),
        Row("without conv4", {"model.maps": (96, 256, 384, 0, 256)}, "+2"),
    ),
    claims=(
        Better("ten crops beat one view (section 6)", row=FULL, than="one view"),
        Better(
            "two towers beat half the maps on one GPU (3.2)",
            row=FULL,
            than="half the maps on one GPU",
        ),
        Better(
            "response normalisation helps (3.3)", row=FULL, than="without response normalisation"
        ),
        Better("overlapping pools help (3.4)", row=FULL, than="pools without overlap"),
        Better("colour noise helps (4.1)", row=FULL, than="without colour noise"),
        Better(
            "without crops and mirrors it overfits (4.1)",
            row=FULL,
            than="without crops and mirrors",
            notes={
                "small": "It does overfit, by 9 points between training and test, but 16 passes "
                "end before the network that is "
                "trained on crops has learned as much: 14% of these are wrong in training, 6% "
                "without."
            },
        ),
        Better(
            "without dropout it overfits (4.2)",
            row=FULL,
            than="without dropout",
            notes={
                "small": "A quarter of the width and 16 passes do not overfit: 13% of its "
                "training crops are wrong."
            },
        ),
        Better(
            "dropout takes more steps (4.2: about twice) to 20% of training errors, made with it "
            "on",
            row="without dropout",
            than=FULL,
            measure=LEARNED,
        ),
        Better("a network without conv3 is worse (7)", row=FULL, than="without conv3"),
        Better("... and one without conv4", row=FULL, than="without conv4"),
    ),
    scales=dict(
        paper=Scale(
            "ImageNet-2012, 90 epochs",
            recipe("alexnet"),
            rows={
                "without crops and mirrors": {
                    "data.jitter": (224, 224),
                    "data.views": "centre",
                    "data.eval_side": 224,
                }
            },
        ),
        full=Scale(
            "all 60,000 images of Fashion-MNIST at 64 x 64, 90 epochs",
            full("alexnet", {**SMALL_IMAGES, "log.every": "0.25 epochs"}),
            rows=UNCUT,
            without=("without colour noise",),
        ),
        small=Scale(
            "the embedded 6,000 images of Fashion-MNIST at 64 x 64, a quarter of the width, batch "
            "64, 16 epochs, cosine",
            {
                **SMALL_IMAGES,
                "data.name": "fashion_mnist",
                "data.source": "embedded",
                "data.batch_size": 64,
                "model.width": 0.25,
                "optim.lr": 0.02,
                "optim.clip_norm": 5.0,
                "optim.steps": "16 epochs",
                "schedule.name": "cosine",
                "eval.every": "8 epochs",
                "eval.batch_size": 100,
                "log.every": "0.25 epochs",
                "checkpoint.every": "8 epochs",
            },
            rows=UNCUT,
            without=("without colour noise",),
        ),
    ),
)
