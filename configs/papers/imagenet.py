"""What tables on ImageNet share: the recipes of configs/cnn_imagenet.py, and these on all of
Fashion-MNIST."""

from configs.cnn_imagenet import recipe

PHOTOGRAPHS = 1_281_167  # of training; ILSVRC-2012
# keys that small grey ones lack
OF_PHOTOGRAPHS = ("data.central", "data.eval_side", "data.jitter", "data.pca", "data.scale")
DURATIONS = ("optim.steps", "schedule.boundaries", "schedule.every")


def full(family: str, changes: dict[str, object]) -> dict[str, object]:
    """The recipe of a family on all of Fashion-MNIST, for as many epochs; `changes` say the sizes
    of its images."""
    kept = {key: value for key, value in recipe(family).items() if key not in OF_PHOTOGRAPHS}
    return in_epochs(kept, kept["data.batch_size"]) | {
        "data.name": "fashion_mnist",
        "data.source": "files",
        "steps_per_dispatch": 25,
        "checkpoint.every": "5 epochs",
        "log.every": "1 epoch",
        **changes,
    }


def in_epochs(changes: dict[str, object], batch_size: int) -> dict[str, object]:
    """The durations that are steps of `batch_size` photographs as epochs of ImageNet."""

    def epochs(steps):
        if isinstance(steps, tuple):
            return tuple(map(epochs, steps))
        return steps if isinstance(steps, str) else f"{steps * batch_size / PHOTOGRAPHS:.1f} epochs"

    return changes | {key: epochs(changes[key]) for key in DURATIONS if key in changes}
