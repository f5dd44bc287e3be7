"""Bidirectional recurrent networks against forward ones. Schuster & Paliwal 1997, IEEE Trans.
Signal Processing 45(11).

Run:   python -m scripts.prepare_data brown
       python -m scripts.sweep configs/papers/birnn/directions.py

The paper classifies phones of TIMIT, which is not to be had here: the 12 universal tags of Brown
take their place; nor are its artificial data and its networks without recurrence here. A delayed
network answers so many words late. Networks of about as many recurrent parameters: 128 units each
way, or 192 one way.
"""

from configs.table import Better, Row, Scale, Table

FORWARD = {"model.directions": "forward", "model.hidden": 192}
UNTRAINED = dict(
    small="It says little: in 200 steps the delayed network has not learned the task, see the "
    "last claim."
)

TABLE = Table(
    title="Both directions against one, on tagging. After Schuster & Paliwal 1997",
    measure="test/error",
    base={
        "task.name": "classify",
        "data.name": "brown_tags",
        "data.batch_size": 128,
        "model.name": "tagger",
        "model.embedding": 64,
        "model.dropout": 0.3,
        "optim.name": "adam",
        "optim.lr": 0.003,
        "optim.clip_norm": 1.0,
        "schedule.name": "cosine",
        "schedule.warmup": 50,
        "log.every": 50,
    },
    rows=(
        Row("both", {"model.directions": "both", "model.hidden": 128}),
        Row("forward", FORWARD),
        Row("backward", {"model.directions": "backward", "model.hidden": 192}),
        Row("forward delayed by 1", {**FORWARD, "model.delay": 1}),
        Row("forward delayed by 2", {**FORWARD, "model.delay": 2}),
        Row("forward delayed by 4", {**FORWARD, "model.delay": 4}),
    ),
    claims=(
        Better("a bidirectional network beats a forward one", row="both", than="forward"),
        Better("... and a backward one", row="both", than="backward"),
        Better(
            "... and forward ones with a delay: of one word",
            row="both",
            than="forward delayed by 1",
            notes=UNTRAINED,
        ),
        Better("... of two", row="both", than="forward delayed by 2", notes=UNTRAINED),
        Better("... of four", row="both", than="forward delayed by 4", notes=UNTRAINED),
        Better(
            "(ours) a delay helps a forward network",
            row="forward delayed by 1",
            than="forward",
            notes={
                "small": "In training too the delayed networks' errors are higher (20, 32, 59%, "
                "against 15%) and still fall: "
                "in 200 steps they do not learn to carry a word to a later step."
            },
        ),
    ),
    scales=dict(
        full=Scale(
            "all sentences of training, 3 epochs",
            {"optim.steps": "3 epochs", "eval.every": "1 epoch"},
        ),
        small=Scale(
            "200 batches, 0.5 epochs",
            {"optim.steps": 200, "eval.every": 100, "checkpoint.every": 100},
        ),
    ),
)
