"""How He et al. 2015 (section 4.2) and 2016 (appendix) train on CIFAR: a recipe that tables of both share, and a small one."""

RECIPE = {
    "optim.name": "momentum",
    "optim.weight_decay": 1e-4,
    "optim.lr": 0.1,
    "data.flip": True,
    "steps_per_dispatch": 25,
}
CIFAR10 = {
    "data.name": "cifar10",
    "data.scale": "mean_image",
    "data.shift": 4,
    "optim.steps": 64_000,
    "schedule.name": "step",
    "schedule.boundaries": (32_000, 48_000),
}
WARM_UP = {"schedule.warmup": 400}
SMALL = {  # the embedded 6,000 images of Fashion-MNIST, 8, 16, 32 maps
    "data.name": "fashion_mnist",
    "data.source": "embedded",
    "data.shift": 2,
    "data.batch_size": 64,
    "model.width": 8,
    "optim.steps": "2 epochs",
    "schedule.name": "cosine",
    "schedule.warmup": 50,
    "eval.every": "1 epoch",
    "log.every": "1 epoch",
    "checkpoint.every": "2 epochs",
}
