"""A wrong value, combination or file of a config is one line with the key in it, and nothing is
written."""

import pytest
from helpers import refused_command

LENET, ADDING, VOWELS = (
    f"configs/{name}.py" for name in ("lenet_fashion_mnist", "lstm_adding", "lstm_japanese_vowels")
)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([f"--config={LENET}", "--config.optim.lr=fast"], "optim.lr: 'fast' must be a number"),
        ([f"--config={LENET}", "--config.optim.lr=nan"], "optim.lr: nan is not a finite number"),
        ([f"--config={LENET}", "--config.optim.lr=-1"], "optim.lr: -1.0 is outside (0, inf)"),
        (
            [f"--config={LENET}", "--config.data.batch_size=2.5"],
            "data.batch_size: '2.5' must be a whole number",
        ),
        (
            [f"--config={LENET}", "--config.data.batch_size=none"],
            "data.batch_size: none is not possible; must be a whole number",
        ),
        (
            [f"--config={LENET}", "--config.data.flip=maybe"],
            "data.flip: 'maybe' must be true or false",
        ),
        (
            [f"--config={LENET}", "--config.seeds=1,1"],
            "seeds: (1, 1) must be one or more different whole numbers",
        ),
        ([f"--config={LENET}", "--config.seeds=a"], "seeds: ('a',) must be"),
        ([f"--config={LENET}", "--config.seeds="], "seeds: () must be"),
        (
            [f"--config={LENET}", "--config.dtype=float8"],
            "dtype: unknown 'float8'; choose from bfloat16, float32",
        ),
        (
            [f"--config={LENET}", "--config.optim.steps=3 epoch s"],
            "optim.steps: '3 epoch s' is no duration",
        ),
        ([f"--config={LENET}", "--config.optim.steps=0"], "optim.steps: comes to 0 steps"),
        ([f"--config={LENET}", "--config.optim.steps=-5"], "optim.steps: -5 is no duration"),
        (
            [f"--config={ADDING}", "--config.optim.steps=3 epochs"],
            "optim.steps: '3 epochs', but generated data has no epochs",
        ),
        (
            [f"--config={LENET}", "--config.model.name=lenet"],
            "model.name: unknown 'lenet'; did you mean 'lenet5'?",
        ),
        (
            [f"--config={LENET}", "--config.optim.name=adamw"],
            "optim.name: unknown 'adamw'; did you mean 'adam'?",
        ),
        (
            [f"--config={LENET}", "--config.model.activation=swish"],
            "model.activation: unknown 'swish'; choose from",
        ),
        (
            [f"--config={LENET}", "--config.data.pad=0"],
            "model: LeNet-5 takes images of 32 x 32 x 1, not 28 x 28 x 1",
        ),
        (
            [f"--config={LENET}", "--config.data.scale=log"],
            "data.scale: unknown 'log'; choose from unit, lecun, standard",
        ),
        (
            [f"--config={LENET}", "--config.data.source=cloud"],
            "data.source: unknown 'cloud'; choose from auto, tfds, files, embedded",
        ),
        ([f"--config={LENET}", "--config.data.source=files"], "scripts.prepare_data fashion_mnist"),
        (
            [f"--config={LENET}", "--config.data.name=japanese_vowels"],
            "takes image inputs, but data.name='japanese_vowels' gives sequence ones; choose from "
            "sequence_readout, lstm1997, tagger",
        ),
        (
            [f"--config={ADDING}", "--config.task.name=classify"],
            "needs class or classes targets, but data.name='adding' has real ones",
        ),
        ([f"--config={ADDING}", "--config.data.T=7"], "data.T: 7 must be an even number"),
        (
            [f"--config={LENET}", "--config.parallel.devices=3"],
            "128 does not divide over 3 devices; [1, 2, 4, 8] do",
        ),
        (
            [f"--config={LENET}", "--config.parallel.devices=64"],
            "parallel.devices: 64, but there are 8",
        ),
        (
            [f"--config={LENET}", "--config.optim.weight_decay=1", "--config.optim.decay=l2"],
            "optim.decay: unknown 'l2'; choose from coupled, decoupled",
        ),
        ([f"--config={LENET}", "--config.optim.lr"], "--config.optim.lr: needs a value"),
        ([f"--config={LENET}", "--config.optim=3"], "optim is a section; set optim.name"),
        ([f"--config={LENET}", "--evalonly"], "unknown flag '--evalonly'"),
        (
            ["--config=configs/lenet_fashion_mnsit.py"],
            "did you mean 'configs/lenet_fashion_mnist.py'?",
        ),
        (
            [f"--config={VOWELS}", "--config.model.dropout=1"],
            "model.dropout: 1.0 is outside [0, 1)",
        ),
        ([f"--config={VOWELS}", "--config.model.hidden=0"], "model.hidden: 0 must be at least 1"),
        (
            ["--config=configs/lstm_adding.py:T=10000000000"],
            "data.T: 10000000000 must be below 2**31",
        ),
        (
            [f"--config={VOWELS}", "--config.data.validation=270"],
            "data.validation: 270 is outside [0, 270)",
        ),
        (
            [
                f"--config={LENET}",
                "--config.schedule.name=step",
                "--config.schedule.boundaries=1 epic",
            ],
            "schedule.boundaries: '1 epic'",
        ),
        ([f"--config={LENET}", "--config.optim.b1=1.5"], "optim.b1: 1.5 is outside [0, 1)"),
        (
            [
                f"--config={LENET}",
                "--config.schedule.name=exponential",
                "--config.schedule.every=0",
            ],
            "schedule.every: 0 must be",
        ),
        (
            [f"--config={LENET}", "--config.schedule.name=plateau", "--config.schedule.patience=0"],
            "schedule.patience: 0 must be",
        ),
        ([f"--config={LENET}", "--config.optim.steps=²"], "optim.steps: '²' is no duration"),
        ([f"--config={LENET}", "--config.optim.steps=99999999999"], "below 2**31"),
        (
            [f"--config={LENET}", "--config.optim.accumulate=100000"],
            "optim.accumulate: 100000 batches an update",
        ),
        (
            [f"--config={LENET}", "--config.schedule.warmup_factor=0.1"],
            "warmup_factor: 0.1 does nothing without",
        ),
        (
            [f"--config={LENET}", "--config.data.aspect=1,2"],
            "data.aspect: (1, 2) does nothing without data.area",
        ),
        (
            [
                f"--config={LENET}",
                *(
                    f"--config.model.{v}"
                    for v in ("name=googlenet", "auxiliary=false", "auxiliary_dropout=0.5")
                ),
            ],
            "model.auxiliary_dropout: 0.5 does nothing without model.auxiliary",
        ),
        (
            [f"--config={LENET}", "--config.model.name=vgg", "--config.model.bn_momentum=0.5"],
            "model.bn_momentum: 0.5 does nothing without model.batch_norm",
        ),
        (
            [
                f"--config={VOWELS}",
                "--config.model.name=tagger",
                "--config.model.directions=forward",
                "--config.model.merge=sum",
            ],
            "model.merge: 'sum' does nothing without model.directions=both",
        ),
        (
            ["--config=configs/seq2seq_cmudict.py", "--config.model.window=4"],
            "model.window: 4 does nothing without",
        ),
        (
            [
                f"--config={LENET}",
                *("--config.model.name=lenet5_1998", "--config.task.name=classify_rbf"),
                *("--config.task.criterion=mle", "--config.task.j=0.9"),
            ],
            "task.j: 0.9 does nothing without task.criterion=map",
        ),
        (
            [f"--config={LENET}", "--config.task.auxiliary_weight=0.5"],
            "auxiliary_weight: 0.5 does nothing",
        ),
        (
            [f"--config={LENET}", "--config.stop.at_most=3"],
            "stop.at_most: 3.0 does nothing without stop.metric",
        ),
        (
            [f"--config={LENET}", "--config.stop.metric=train/error", "--config.stop.at_most=-1"],
            "stop.at_most: -1.0 is outside [0, inf)",
        ),
        (
            [f"--config={LENET}", "--config.schedule.warmup=300000000 epochs"],
            "schedule.warmup: comes to 1.",
        ),
        (
            [
                f"--config={LENET}",
                "--config.schedule.name=step",
                "--config.schedule.boundaries=300000000 epochs",
            ],
            "schedule.boundaries: comes to 1.",
        ),
        (
            [
                f"--config={LENET}",
                "--config.schedule.name=plateau",
                "--config.schedule.patience=3000000000",
            ],
            "schedule.patience: 3000000000 must be below 2**31",
        ),
        (
            [
                "--config=configs/copy_memory.py:T=1000",
                *(
                    f"--config.{key}=60000"
                    for key in ("optim.steps", "log.every", "checkpoint.every")
                ),
            ],
            "log.every: 60,000 steps of 40,800 items are more than 2**31 - 1",
        ),
        (
            [f"--config={ADDING}", "--config.model.name=tagger"],
            "it answers every time step, the targets are once a sequence",
        ),
        (
            [
                "--config=configs/papers/lstm1997/embedded_reber.py:paper/4 blocks of 1 at 0.1",
                "--config.task.tolerance=0.3",
            ],
            "task.tolerance: 0.3 does nothing, as data.name='embedded_reber' says itself which "
            "outputs are right; set it to none",
        ),
        (
            ["--config=configs/copy_memory.py", "--config.model.name=sequence_readout"],
            "it answers once a sequence, the targets are every time step; set model.name='tagger'",
        ),
        (
            [f"--config={LENET}", "--config.schedule.name=step"],
            "schedule.boundaries: name at least one",
        ),
        ([f"--config={LENET}", "--config.data.shift=100"], "data.shift: 100 is outside [0, 28]"),
        (["--config=README.md"], "README.md is no Python file"),
        ([f"--config={LENET}:T=3"], "takes no argument"),
        ([f"--config={ADDING}:S=3"], "unknown argument 'S'"),
        ([f"--config={ADDING}:T=long"], "argument T: 'long' must be a whole number"),
        ([], "--config"),
    ],
)
def test_a_bad_value_is_refused_in_one_line_before_the_workdir_is_touched(
    tmp_path, arguments, words
):
    line = refused_command(*arguments, f"--workdir={tmp_path / 'run'}")
    assert words in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "text",
    [
        "import nothing_of_the_kind",
        "def get_config(:",
        "x = 1",
        "def get_config():\n    return 3",
        "raise SystemExit(3)",
    ],
)
def test_a_broken_config_file_is_named_in_the_line(tmp_path, text):
    file = tmp_path / "broken.py"
    file.write_text(text)
    assert refused_command(f"--config={file}").startswith(str(file))
