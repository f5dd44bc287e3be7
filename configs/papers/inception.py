"""What the tables of Szegedy et al. 2014, Ioffe & Szegedy 2015 and Szegedy et al. 2015 share at
small scale."""

SMALL = {  # the embedded 6,000 images of Fashion-MNIST, a quarter of the width
    "data.name": "fashion_mnist",
    "data.source": "embedded",
    "data.batch_size": 64,
    "data.flip": True,
    "model.width": 0.25,
    "optim.name": "momentum",
    "optim.lr": 0.02,
    "optim.clip_norm": 5.0,
    "schedule.name": "cosine",
    "log.every": 10,
    "eval.every": "1 epoch",
    "checkpoint.every": "2 epochs",
    "steps_per_dispatch": 10,
}
