"""ImageNet-2012 by the papers' recipes, one image network each.

Photographs are streamed, see train/data/photographs.py.

Run:   python -m train --config=configs/cnn_imagenet.py:model=resnet
         (on GPUs and TPUs with --config.dtype=bfloat16)
       python -m train --config=configs/cnn_imagenet.py:model=resnet --config.model.depth=101
       python -m train --config=configs/cnn_imagenet.py:model=vgg --config.data.jitter=256,512
         --config.data.eval_side=512 --config.data.eval_scales=256,384,512
         (from scratch; the paper fine-tunes from S = 384, and that from S = 256)
Data:  python -m scripts.prepare_data imagenet2012

None of these has been run to its end here. Not as in the papers, for all: the mean of each colour
is subtracted, not that of each pixel; evaluation sees the central square of a photograph; batch
norm covers the whole batch, ResNet's covered 32 images; learning rates fall at fixed times, where
the authors of AlexNet, VGG and ResNet waited for the error to stall. Each family's own deviations
are beside it. Where decoding is slower than the devices (examples_per_s in metrics.jsonl), set
data.workers.
"""

from configs import base
from configs.load import arguments
from train.errors import BadInput

WHOLE_AREA = {"data.jitter": (), "data.area": (0.08, 1.0)}  # Szegedy et al. 2014, section 6
FAMILIES = {  # name -> (optimizer, schedule, the recipe)
    "alexnet": (  # Krizhevsky et al. 2012, section 5; figures 18.2% top-5 by ten views
        "momentum",
        "step",
        {
            "data.batch_size": 128,
            "data.central": True,
            "data.pca": 0.1,
            "data.views": "ten",
            "eval.batch_size": 64,
            "optim.lr": 0.01,
            "optim.weight_decay": 5e-4,
            "optim.steps": "90 epochs",
            # three falls, at our times
            "schedule.boundaries": ("40 epochs", "60 epochs", "80 epochs"),
        },
    ),
    # Simonyan & Zisserman 2014, section 3, configuration D at S = Q = 256: 27.0% top-1, 8.8% top-5
    "vgg": (
        "momentum",
        "step",
        {
            "data.batch_size": 256,
            "data.pca": 0.1,
            "data.views": "dense",
            "eval.batch_size": 64,
            "optim.lr": 0.01,
            "optim.weight_decay": 5e-4,
            "optim.steps": 370_000,
            "schedule.boundaries": (150_000, 250_000, 320_000),  # three falls, at our times
        },
    ),
    # Szegedy et al. 2014: 10.07% top-5 by one crop. Rate, batch, decay and length are Caffe's; the
    # paper gives none
    "googlenet": (
        "momentum",
        "exponential",
        WHOLE_AREA  # no photometric distortions
        | {
            "data.batch_size": 32,
            "optim.lr": 0.01,
            "optim.weight_decay": 2e-4,
            "optim.ema": 0.9999,  # Polyak averaging; the decay is ours
            "optim.steps": 10_000_000,
            "schedule.every": "8 epochs",
            "schedule.factor": 0.96,
            "schedule.staircase": True,
        },
    ),
    # Ioffe & Szegedy 2015, section 4.2.1, BN-x30: 74.8% right by one crop after about 6M steps
    "bn_inception": (
        "momentum",
        "exponential",
        WHOLE_AREA  # no photometric distortions
        | {
            "data.batch_size": 32,
            "optim.lr": 0.045,
            # a fifth of that of Caffe's GoogLeNet, as the paper uses a fifth of its GoogLeNet's
            "optim.weight_decay": 4e-5,
            "optim.steps": 6_000_000,
            "schedule.every": "1.3333 epochs",  # six times as fast as GoogLeNet
            "schedule.factor": 0.96,
        },
    ),
    # Szegedy et al. 2015, section 8: 21.2% top-1, 5.6% top-5. They train 50 asynchronous replicas
    # of 32; here there is one of 32
    "inception_v3": (
        "rmsprop",
        "exponential",
        WHOLE_AREA
        | {
            "data.batch_size": 32,
            "data.crop": 299,
            "data.eval_side": 342,  # torchvision's
            "data.scale": "signed",
            "task.label_smoothing": 0.1,
            "optim.rms_decay": 0.9,
            "optim.eps": 1.0,
            "optim.lr": 0.045,
            "optim.clip_norm": 2.0,
            "optim.ema": 0.9999,  # the decay is ours
            "optim.steps": "100 epochs",
            "schedule.every": "2 epochs",
            "schedule.factor": 0.94,
            "schedule.staircase": True,
        },
    ),
    "resnet": (  # He et al. 2015, section 3.4: ResNet-50 has 22.85% top-1, 6.71% top-5 by ten views
        "momentum",
        "step",
        {
            "model.depth": 50,
            "data.batch_size": 256,
            "data.jitter": (256, 480),
            "data.pca": 0.1,
            "data.views": "ten",
            "eval.batch_size": 64,
            "optim.lr": 0.1,
            "optim.weight_decay": 1e-4,
            "optim.steps": 600_000,
            "schedule.boundaries": (150_000, 300_000, 450_000),  # the times are ours
        },
    ),
    # He et al. 2016, appendix: ResNet-200 has 20.7% top-1, 5.3% top-5 by one crop of 320
    "resnet_v2": (
        "momentum",
        "step",
        {
            "data.batch_size": 256,
            "data.jitter": (256, 480),
            "data.pca": 0.1,
            "data.views": "whole",
            "data.eval_side": 320,
            "eval.batch_size": 128,
            "optim.lr": 0.1,
            "optim.weight_decay": 1e-4,
            "optim.steps": "90 epochs",  # the paper does not give the end
            "schedule.boundaries": ("30 epochs", "60 epochs"),
        },
    ),
}


def recipe(family: str) -> dict[str, object]:
    """The changes of the defaults that a family of FAMILIES trains with.

    Raises BadInput for an unknown family.
    """
    if family not in FAMILIES:
        raise BadInput(f"model: unknown {family!r}; {base.nearest(family, FAMILIES)}")
    optimizer, schedule, own = FAMILIES[family]
    return {
        "model.name": family,
        "data.name": "imagenet2012",
        "data.flip": True,
        "data.scale": "mean_colour",
        "optim.name": optimizer,
        "schedule.name": schedule,
        "steps_per_dispatch": 1,  # a batch of 256 photographs is 39 MB
        "eval.every": "5 epochs",
        "checkpoint.every": 2000,
        **own,
    }


def get_config(argument: str = ""):
    return base.override(base.get_config(), recipe(arguments(argument, model="resnet")["model"]))
