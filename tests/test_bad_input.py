"""Three hundred bad inputs to every command: each one line, exit code 2, nothing written."""

import contextlib
import io
import pathlib
import string
import tempfile

import hypothesis
import pytest
from hypothesis import strategies as st

from configs import base, load
from scripts import (
    bench,
    describe,
    generate,
    length_figure,
    prepare_data,
    report,
    sweep,
    torture,
    transduce,
    weights,
)
from train import __main__ as command
from train.errors import BadInput

ROOT = pathlib.Path(__file__).parent.parent
VOWELS, TABLE = "configs/lstm_japanese_vowels.py", "configs/papers/lstm1997/temporal_order.py"
FLAT = base.flatten(load.load(VOWELS)[1])
KINDS = {
    kind: sorted(k for k, v in FLAT.items() if type(v) is kind)
    for kind in (int, float, bool, tuple)
}
WORDS = st.text(string.ascii_letters + string.digits + "._-", min_size=1, max_size=12)
NO_NUMBER = WORDS.filter(
    lambda text: (
        not text.lower().strip("+-.").replace("_", "").replace(".", "").replace("e", "").isdigit()
    )
)
NO_NUMBER = NO_NUMBER.filter(lambda text: text.lower() not in ("none", "true", "false"))
JUNK = st.binary(max_size=60)


def train(*arguments):
    return command.main, [f"--config={VOWELS}", "--workdir=run", *arguments], {}


def keys():
    """`python -m train` with one key or value that cannot be."""
    numbers = st.sampled_from(KINDS[int] + KINDS[float])
    outside = st.sampled_from(sorted(set(base.INTERVALS) & set(FLAT)))
    names = st.sampled_from([f"{kind}.name" for kind in base.TABLES] + sorted(base.CHOICES))
    return st.one_of(
        WORDS.filter(lambda w: w not in FLAT).map(lambda w: train(f"--config.{w}=1")),
        st.tuples(numbers, NO_NUMBER).map(lambda kv: train(f"--config.{kv[0]}={kv[1]}")),
        st.sampled_from(KINDS[float]).map(lambda k: train(f"--config.{k}=nan")),
        st.tuples(st.sampled_from(KINDS[bool]), NO_NUMBER).map(
            lambda kv: train(f"--config.{kv[0]}={kv[1]}")
        ),
        outside.map(lambda k: train(f"--config.{k}=-3")),
        st.tuples(names, WORDS.map("x{}y".format)).map(
            lambda kv: train(f"--config.{kv[0]}={kv[1]}")
        ),
        WORDS.map(lambda w: train(f"--{w}z")),
        st.lists(NO_NUMBER, min_size=1).map(
            lambda seeds: train(f"--config.seeds={','.join(seeds)}")
        ),
        NO_NUMBER.map(lambda w: train(f"--config.optim.steps={w}")),
        st.tuples(
            st.sampled_from(["process_id", "num_processes", "heartbeat", "watchdog"]), NO_NUMBER
        ).map(lambda kv: train(f"--{kv[0]}={kv[1]}")),
    )


def files():
    """Config files, tables and workdirs with anything in them: {path: contents} is there
    beforehand."""
    run = {
        "run/config.json": b'{"model": {"name": "language_model"}, "data": {"name": "kjv"}, "seeds": [0]}'
    }
    readers = st.sampled_from(
        [
            (command.main, [f"--config={VOWELS}", "--workdir=run"]),
            (command.main, [f"--config={VOWELS}", "--workdir=run", "--eval_only"]),
            (generate.main, ["--workdir=run"]),
            (transduce.main, ["--workdir=run", "canon"]),
            (weights.main, ["torchvision/resnet18", "run", "out.npz", "--reverse"]),
        ]
    )
    ends = st.sampled_from([".npz", ".safetensors", ".pth", ".weights.h5", ".txt", ""])
    return st.one_of(
        JUNK.map(lambda b: (command.main, ["--config=own.py", "--workdir=run"], {"own.py": b})),
        JUNK.map(lambda b: (sweep.main, ["own.py", "--workdir=run"], {"own.py": b})),
        st.tuples(readers, JUNK).map(lambda rb: (*rb[0], {"run/config.json": rb[1]})),
        st.tuples(readers.filter(lambda r: r[0] is not command.main), JUNK).map(
            lambda rb: (*rb[0], run | {"run/checkpoints/7/meta/metadata": rb[1]})
        ),
        JUNK.map(lambda b: (report.main, ["run"], {"run/result.json": b})),
        st.tuples(ends, JUNK).map(
            lambda eb: (
                weights.main,
                ["torchvision/resnet18", f"in{eb[0]}", "out.npz"],
                {f"in{eb[0]}": eb[1]},
            )
        ),
        st.tuples(ends, JUNK).map(
            lambda eb: (
                weights.main,
                ["torchvision/resnet18", f"in{eb[0]}", "out.npz", "--reverse"],
                {f"in{eb[0]}": eb[1]},
            )
        ),
    )


def flags():
    """The flags of the scripts."""

    def of(main, *before):
        return lambda given: (main, [*before, given], {})

    return st.one_of(
        WORDS.map("x{}".format).map(of(describe.main)),
        WORDS.map("--q{}=3".format).map(of(describe.main, "lenet5")),
        WORDS.map("--image={}".format).map(of(describe.main, "lenet5")),
        NO_NUMBER.map("--levels={}".format).map(of(describe.main, "lenet5")),
        WORDS.map("x{}.py".format).map(of(sweep.main)),
        WORDS.map("--scale=x{}".format).map(of(sweep.main, TABLE)),
        WORDS.map("--rows=x{}".format).map(of(sweep.main, TABLE)),
        WORDS.map("--shard={}".format).map(of(sweep.main, TABLE)),
        st.integers(-9, 0).map("--seeds={}".format).map(of(sweep.main, TABLE)),
        WORDS.map("no_run_{}".format).map(of(report.main)),
        WORDS.map("no_table_{}.py".format).map(of(report.main)),
        WORDS.map("x/{}".format).map(
            lambda w: (weights.main, [w, "in.npz", "out.npz"], {"in.npz": b""})
        ),
        NO_NUMBER.map("--seed={}".format).map(
            of(weights.main, "torchvision/resnet18", "in.npz", "out.npz")
        ),
        WORDS.map("--workdir=no_run_{}".format).map(of(generate.main)),
        st.integers(-9, 0).map("--tokens={}".format).map(of(generate.main, "--workdir=run")),
        NO_NUMBER.map("--temperature=x{}".format).map(of(generate.main, "--workdir=run")),
        WORDS.map("--workdir=no_run_{}".format).map(of(transduce.main, "canon")),
        NO_NUMBER.map("--beams={}".format).map(of(transduce.main, "--workdir=run", "canon")),
        WORDS.map("x{}".format).map(of(prepare_data.main)),
        WORDS.map("--origin=x{}".format).map(of(prepare_data.main, "cifar10")),
    )


def refusal(main, arguments: list[str]) -> str:
    """What stands on standard error in the end, as exit_with prints it. Raises whatever else ends
    the command."""
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
            code = main(arguments)
    except BadInput as error:
        return errors.getvalue() + " ".join(str(error).split()) + "\n"
    except SystemExit as error:
        code = error.code
    assert code == 2, f"ended with {code}"
    return errors.getvalue()


@pytest.mark.parametrize("kind", [keys, files, flags])
def test_a_bad_input_is_refused_in_one_line_and_nothing_is_written(kind):
    @hypothesis.settings(max_examples=100, deadline=None, derandomize=True, database=None)
    @hypothesis.given(kind())
    def refused(case):
        main, arguments, there = case
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            for path, contents in there.items():
                pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
                pathlib.Path(path).write_bytes(contents)
            before = sorted(pathlib.Path().rglob("*"))
            lines = refusal(main, arguments).splitlines()
            # is said of each, then it is refused
            passed_over = [line for line in lines if line.startswith("checkpoint 7 in")]
            assert len(lines) == 1 + len(passed_over) and "Traceback" not in lines[-1], lines
            assert sorted(pathlib.Path().rglob("*")) == before

    refused()


@pytest.mark.parametrize(
    ("of", "arguments", "says"),
    [
        (prepare_data, [], "name a data set: brown, "),
        (length_figure, ["x.png", "one"], "one: must be LABEL=FILE.csv"),
        (
            length_figure,
            ["x.jpeg", "one=x.csv"],
            "x.jpeg: must be a .png in a folder that is there",
        ),
        (
            length_figure,
            ["x.png", "one=pyproject.toml"],
            "pyproject.toml is no table of errors by length ('length')",
        ),
        (torture, ["--runs=lstm,gru"], "--runs: unknown 'gru'; choose from lenet, lstm"),
        (bench, ["loop", "--rounds=0"], "--rounds: 0 must be at least 1"),
        (bench, ["rnn", "--models=lenet5"], "--models: of cnn, not of rnn"),
        (bench, ["cnn", "--models=lenet6"], "--models: unknown 'lenet6'; choose from lenet5,"),
        (bench, ["depth", "--depths=21"], "--depths: '21' is not 6n + 2"),
        (report, ["--check", "run"], "--check: looks at all that is reported; leave RUN and"),
        (report, ["run", "--workdir=x"], "--workdir: of a table alone"),
    ],
)
def test_flags_that_do_not_fit_are_refused_in_one_line(of, arguments, says):
    with pytest.raises(BadInput) as error:
        of.main(arguments)
    assert says in str(error.value) and "\n" not in str(error.value)
