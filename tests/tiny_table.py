"""A table whose three rows train in seconds, for several test files; the fixture `tiny` is its
file."""

TINY = """
from configs.table import Better, Row, Scale, Solves, Table, Until

TABLE = Table(
    title="tiny",
    measure="test/mse",
    base={
        "task.name": "regress", "data.name": "adding", "data.T": 4, "data.examples": 8, "model.name": "sequence_readout",
        "model.hidden": 4, "optim.steps": 60, "log.every": 10, "eval.every": 20, "checkpoint.every": 10,
        "steps_per_dispatch": 5,
    },
    rows=(Row("slow", {"optim.lr": 0.001}, paper=1.0), Row("fast", {"optim.lr": 0.1}), Row("fastest", {"optim.lr": 0.3})),
    claims=(Better("fast is faster", row="fast", than="slow"),
            Better("in fewer steps", row="fast", than="slow", measure=Until("train/mse", 0.3))),
    scales=dict(small=Scale("a toy"), paper=Scale("never run")),
)
"""
