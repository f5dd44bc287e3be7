"""A simple way to initialise recurrent networks of rectified linear units: pixel by pixel. Le et
al. 2015, section 4.2.

Run:   python -m scripts.sweep configs/papers/pixels/le2015.py

Paper: MNIST, which is not to be had here; accuracies as errors (IRNN 97 and 82%, tanh 35 and 35%;
those of LSTM are in a figure alone), 100 units. Here Fashion-MNIST, Adam, and at the small scale 7
pixels a step, so 112 steps. With all 784 steps 8 passes (`python -m train
--config="configs/papers/pixels/le2015.py:small/IRNN" --config.data.pixels_per_step=1
--config.optim.steps="8 epochs" --config.seeds=0,1,2`, one of 2 cores of an AMD EPYC) end at 71.5%,
those of tanh at 50.6%.
"""

from configs.table import Better, Row, Scale, Table

CELLS = {
    "tanh": {"model.cell": "elman"},
    "IRNN": {"model.cell": "irnn"},
    "LSTM": {"model.cell": "lstm", "model.forget_bias": 1.0, "optim.lr": 0.003},
}
PERMUTED = {"data.permuted": True}
SHORT = {
    "small": "7 pixels a step leave 112 steps, over which tanh units learn too, and IRNN learns "
    "slowest, in training as well "
    "(31%, tanh 25%, LSTM 19%); no network is trained to its end in 16 passes over 6,000."
}

TABLE = Table(
    title="Images pixel by pixel, in order and permuted. Le et al. 2015",
    says="The paper's numbers are test errors on MNIST.",
    measure="test/error",
    base={
        "task.name": "classify",
        "data.name": "sequential_fashion_mnist",
        "data.batch_size": 50,
        "model.name": "sequence_readout",
        "model.hidden": 100,
        "optim.name": "adam",
        "optim.lr": 0.0003,
        "optim.clip_norm": 1.0,
        "log.every": 50,
        "steps_per_dispatch": 50,
        "parallel.seeds": "devices",
    },
    rows=(
        Row("tanh", CELLS["tanh"], paper=65.0),
        Row("IRNN", CELLS["IRNN"], paper=3.0, parameters=11_210),
        Row("LSTM", CELLS["LSTM"], parameters=41_810),
        Row("tanh permuted", {**CELLS["tanh"], **PERMUTED}, paper=65.0),
        Row("IRNN permuted", {**CELLS["IRNN"], **PERMUTED}, paper=18.0),
        Row("LSTM permuted", {**CELLS["LSTM"], **PERMUTED}),
    ),
    claims=(
        Better("IRNN beats tanh", row="IRNN", than="tanh", notes=SHORT),
        Better("... and LSTM", row="IRNN", than="LSTM", notes=SHORT),
        Better(
            "so it is with permuted pixels: tanh",
            row="IRNN permuted",
            than="tanh permuted",
            notes=SHORT,
        ),
        Better("... LSTM", row="IRNN permuted", than="LSTM permuted", notes=SHORT),
        Better("permuted pixels are harder for IRNN", row="IRNN", than="IRNN permuted"),
    ),
    scales=dict(
        full=Scale(
            "all images, a pixel a step, 10 epochs",
            {"data.source": "files", "optim.steps": "10 epochs", "eval.every": "1 epoch"},
        ),
        small=Scale(
            "6,000 images, 7 pixels a step, 16 epochs",
            {
                "data.source": "embedded",
                "data.pixels_per_step": 7,
                "optim.steps": "16 epochs",
                "eval.every": "4 epochs",
                "checkpoint.every": "4 epochs",
            },
            seeds=5,
        ),
    ),
)
