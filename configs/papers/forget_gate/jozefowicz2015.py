"""An empirical exploration of recurrent network architectures: which gate matters. Jozefowicz,
Zaremba & Sutskever 2015.

Run:   python -m scripts.sweep configs/papers/forget_gate/jozefowicz2015.py

The paper's numbers are test perplexities on the Penn Treebank of networks of 20M parameters with
dropout. Here: the King James Version, one layer of 128 units, at scale `full` two of 650 with
dropout. Its other tasks and its MUT cells are not here; the forget bias on a long lag is a row of
adding/le2015.py.
"""

from configs.table import Better, Row, Scale, Table

SLOW = dict(
    small="400 steps end before it has learned as much: in training its perplexity comes to 48, "
    "tanh's 40, the GRU's 33."
)

TABLE = Table(
    title="LSTM without each gate, forget bias, GRU, on the King James Version. Jozefowicz et al. "
    "2015",
    says="The paper's numbers are test perplexities on the Penn Treebank, of 20M parameters with "
    "dropout.",
    measure="test/perplexity",
    curve="validation/perplexity",
    base={
        "task.name": "language_model",
        "data.name": "kjv",
        "data.size": 2000,
        "data.batch_size": 32,
        "model.name": "language_model",
        "model.hidden": 128,
        "model.tied": True,
        "optim.name": "adam",
        "optim.lr": 0.005,
        "optim.clip_norm": 1.0,
        "schedule.name": "cosine",
        "schedule.warmup": 50,
        "log.every": 100,
        "eval.batch_size": 32,
    },
    rows=(
        Row("tanh", {"model.cell": "elman"}, paper=97.7),
        Row("LSTM", {"model.cell": "lstm", "model.forget_bias": 0.0}, paper=81.4),
        Row("LSTM without forget gate", {"model.cell": "lstm_no_forget_gate"}, paper=100.8),
        Row(
            "LSTM without input gate",
            {"model.cell": "lstm_no_input_gate", "model.forget_bias": 0.0},
        ),
        Row(
            "LSTM without output gate",
            {"model.cell": "lstm_no_output_gate", "model.forget_bias": 0.0},
            paper=82.3,
        ),
        Row(
            "LSTM with forget bias 1", {"model.cell": "lstm", "model.forget_bias": 1.0}, paper=79.8
        ),
        Row("GRU", {"model.cell": "gru_reset_before"}, paper=91.7),
    ),
    claims=(
        Better("the forget gate is crucial", row="LSTM", than="LSTM without forget gate"),
        Better("a forget bias of 1 helps", row="LSTM with forget bias 1", than="LSTM"),
        Better(
            "the output gate matters least: than the forget gate",
            row="LSTM without output gate",
            than="LSTM without forget gate",
        ),
        Better(
            "... than the input gate",
            row="LSTM without output gate",
            than="LSTM without input gate",
        ),
        Better("a GRU is better than tanh", row="GRU", than="tanh"),
        Better("an LSTM is better than tanh (81.4 and 97.7)", row="LSTM", than="tanh", notes=SLOW),
        Better("... and, of language, than a GRU (91.7)", row="LSTM", than="GRU", notes=SLOW),
    ),
    scales=dict(
        full=Scale(
            "650 units, all words, 10 epochs",
            {
                "data.size": None,
                "model.hidden": 650,
                "model.layers": 2,
                "model.dropout": 0.5,
                "optim.steps": "10 epochs",
                "eval.every": "1 epoch",
                "checkpoint.every": "1 epoch",
            },
        ),
        small=Scale(
            "400 steps of 32 x 35 words of 4,000 verses, their 2,000 most frequent words",
            # several epochs: each begins at the first state again, and networks that saw it once
            # stay stuck there in evaluation
            {"data.limit": 4000, "optim.steps": 400, "eval.every": 100, "checkpoint.every": 400},
        ),
    ),
)
