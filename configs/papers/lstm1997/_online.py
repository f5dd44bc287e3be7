"""What the experiments of Hochreiter & Schmidhuber 1997 share: one sequence an update, plain
gradient descent on half the squared error, all trials of a row as one population."""

# the share of trials that "in every trial" has to be above beyond doubt: 10 of 10 are, 18 of 20, 26
# of 30
EVERY = 2 / 3
ONLINE = {
    "task.name": "regress",
    "task.criterion": "half_sum",
    "data.batch_size": 1,
    "model.name": "lstm1997",
    "optim.name": "sgd",
    "parallel.seeds": "devices+vmap",
}
LAST_2000 = {
    **ONLINE,
    "model.size": 2,
    "model.bias": "all",
    "model.init_scale": 0.1,
    "stop.metric": "train/sequence_error",
    "stop.last": 2000,
    "eval.every": 20_000,
    "eval.batch_size": 256,
    "log.every": 2000,
    "checkpoint.every": 20_000,
    "steps_per_dispatch": 2000,
}
