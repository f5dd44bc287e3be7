"""How He et al. 2015 and 2016 train, on CIFAR (section 4.2 and appendix) and on ImageNet (section
3.4), and smaller recipes."""

from configs.papers.imagenet import full

RECIPE = {
    "optim.name": "momentum",
    "optim.weight_decay": 1e-4,
    "optim.lr": 0.1,
    "data.flip": True,
    "steps_per_dispatch": 25,
}
SCHEDULE = {
    "data.shift": 4,
    "optim.steps": 64_000,
    "schedule.name": "step",
    "schedule.boundaries": (32_000, 48_000),
}
CIFAR10 = {**SCHEDULE, "data.name": "cifar10", "data.scale": "mean_image"}
FULL = {**SCHEDULE, "data.name": "fashion_mnist", "data.source": "files"}
SMALL = {  # the embedded 6,000 images of Fashion-MNIST, 8, 16, 32 maps
    "data.name": "fashion_mnist",
    "data.source": "embedded",
    "data.shift": 2,
    "data.batch_size": 64,
    "model.width": 8,
    "optim.steps": "2 epochs",
    "schedule.name": "cosine",
    "schedule.warmup": 50,
    "schedule.warmup_factor": 0.0,
    "eval.every": "1 epoch",
    "log.every": "1 epoch",
    "checkpoint.every": "2 epochs",
}


def rescaled(crop: int) -> dict[str, object]:
    """Fashion-MNIST in ImageNet's protocol, all sizes times crop / 224: 224 of 256 to 480 in
    training, of 256 in evaluation."""
    low, high = (round(size * crop / 224) for size in (256, 480))
    return {
        "data.pad": 0,
        "data.shift": 0,
        "data.crop": crop,
        "data.jitter": (low, high),
        "data.eval_scales": (low,),
    }


FULL_IMAGENET = full("resnet", {**rescaled(64), "log.every": "0.1 epochs"})
SMALL_IMAGENET = {
    **SMALL,
    **rescaled(32),
    "data.views": "ten",
    "model.width": 16,
    "optim.steps": "4 epochs",
    "eval.every": "4 epochs",
    "eval.batch_size": 100,
    "log.every": "0.1 epochs",
}
