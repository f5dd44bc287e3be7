"""On the difficulty of training recurrent neural networks: clipping the gradient. Pascanu, Mikolov
& Bengio 2013, figure 7.

Run:   python -m scripts.sweep configs/papers/clipping/temporal_order.py

Paper: temporal order, 50 units, batches of 20, SGD at lr 0.01, clip 1 (v1 of the arXiv paper; 0.001
and 6 in the final one), up to 5M updates; success is under 1% of errors in 10,000 sequences, at
which a seed stops. Here is its "basic tanh", whose weights all start as N(0, 0.1^2); its sigmoid
and "smart tanh" networks and its regulariser are not here.
"""

from configs.table import Better, Row, Scale, Table, Until

CLIP = {"optim.clip_norm": 1.0}

TABLE = Table(
    title="Figure 7, temporal order with and without clipping. Pascanu et al. 2013",
    says="Updates until at most 1% of the test sequences are wrong.",
    measure=Until("test/error", 1.0, unit="updates"),
    curve="test/error",
    base={
        "task.name": "classify",
        "data.name": "temporal_order",
        "data.batch_size": 20,
        "model.name": "sequence_readout",
        "model.cell": "elman",
        "model.hidden": 50,
        "model.initialiser": "normal",
        "model.init_scale": 0.1,
        "optim.name": "sgd",
        "optim.lr": 0.01,
        "log.every": 500,
        "steps_per_dispatch": 500,
        "parallel.seeds": "devices+vmap",
    },
    rows=(
        Row("SGD at T=20", {"data.T": 20}),
        Row("SGD with clipping at T=20", {"data.T": 20, **CLIP}),
        Row("SGD at T=50", {"data.T": 50}),
        Row("SGD with clipping at T=50", {"data.T": 50, **CLIP}),
    ),
    claims=(
        Better("clipping helps at T=20", row="SGD with clipping at T=20", than="SGD at T=20"),
        Better("clipping helps at T=50", row="SGD with clipping at T=50", than="SGD at T=50"),
        Better(
            "longer sequences are harder",
            row="SGD with clipping at T=20",
            than="SGD with clipping at T=50",
        ),
    ),
    scales=dict(
        paper=Scale(
            "at most 200,000 updates (5M in the paper)",
            {
                "data.examples": 10_000,
                "optim.steps": 200_000,
                "stop.metric": "test/error",
                "stop.at_most": 1.0,
                "eval.every": 1000,
                "log.every": 1000,
                "checkpoint.every": 10_000,
            },
            seeds=5,
        ),
        small=Scale(
            "20,000 updates at lr 0.1",
            {"optim.steps": 20_000, "optim.lr": 0.1, "eval.every": 2000, "checkpoint.every": 5000},
            seeds=6,
        ),
    ),
)
