"""Stop rules: a seed is done at the very step, stays as it is, and the others never notice."""

import dataclasses
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from etils import epath
from helpers import build, differ

from configs import load
from train import __main__ as command
from train import checks, log
from train import experiment as experiments
from train.errors import BadInput
from train.loop import fresh_state
from train.parallel import Program
from train.stop import Stop


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("at_most", [0.0, 15.0])
def test_the_sliding_rule_is_met_when_of_the_last_examples_few_enough_were_wrong(batch, at_most):
    stop = Stop("train/sequence_error", at_most, last=20, batch_size=batch)
    rng = np.random.default_rng(0)
    wrong = rng.binomial(batch, 0.12, 300)
    wrong[100:140], wrong[200:] = batch, 0
    recent, met = stop.start(), []
    seen = jax.jit(stop.seen)
    for step, count in enumerate(wrong, 1):
        recent = seen(
            recent, jnp.int32(step), dict(wrong=jnp.int32(count), sequences=jnp.int32(batch))
        )
        met.append(bool(stop.met(np.asarray(recent), step)))
    n = 20 // batch
    expected = [
        step >= n and 100 * wrong[step - n : step].sum() / 20 <= at_most for step in range(1, 301)
    ]
    assert met == expected and 0 < sum(expected) < 300


def experiment(at_most: float | None = 10.0, how="map"):
    rule = (
        {}
        if at_most is None
        else dict(stop__metric="train/sequence_error", stop__last=20, stop__at_most=at_most)
    )
    changes = dict(
        task__tolerance=0.3,
        data__batch_size=4,
        seeds=(0, 1, 2),
        optim__lr=0.05,
        parallel__devices=1,
    )
    return build(**changes, **rule, parallel__seeds=how)


def run(e, steps, at_a_time=4, done=None):
    program = Program(e)
    carry = program.start(fresh_state(e))
    for step in range(0, steps, at_a_time):
        carry, _ = program.train(carry, step, at_a_time, done)
    return program.state(carry)


@pytest.mark.parametrize("how", ["map", "vmap", "devices", "devices+vmap"])
def test_a_seed_that_is_done_is_frozen_at_that_step_however_the_seeds_run_and_the_others_learn_as_ever(
    how,
):
    stopping = run(experiment(how=how), 120)
    stopped = stopping.step.tolist()
    assert min(stopped) < 120 == max(stopped)
    for seed, step in enumerate(stopped):
        free = run(experiment(None, how), step, at_a_time=1)
        of_seed = [
            jax.tree.map(lambda x, seed=seed: x[seed], state.params) for state in (stopping, free)
        ]
        assert differ(*of_seed) <= (0 if how in ("map", "devices") else 1e-5)


def test_seeds_that_the_host_calls_done_take_no_step():
    state = run(experiment(), 8, done=np.array([False, True, False]))
    assert state.step.tolist() == [8, 0, 8]


ARGUMENTS = (
    *(
        "--config=configs/lstm_adding.py:T=4",
        "--config.seeds=0,1,2",
        "--config.model.hidden=8",
        "--config.data.examples=8",
    ),
    *(
        "--config.checkpoint.every=40",
        "--config.log.every=40",
        "--config.eval.every=40",
        "--config.optim.steps=2000",
    ),
    *(
        "--config.data.batch_size=10",
        "--config.task.tolerance=0.3",
        "--config.checkpoint.keep=100",
        "--config.optim.lr=0.02",
    ),
    *("--config.steps_per_dispatch=20", "--config.parallel.seeds=devices"),
)


@pytest.mark.parametrize(
    "rule",
    [
        ("stop.metric=train/sequence_error", "stop.last=100", "stop.at_most=4"),
        ("stop.metric=test/mse", "stop.at_most=0.0116"),
    ],
)
def test_a_run_ends_when_every_seed_is_done_says_when_and_does_the_same_after_a_kill(
    tmp_path, rule
):
    arguments = [*ARGUMENTS, *(f"--config.{key}" for key in rule), f"--workdir={tmp_path}"]
    assert command.main(arguments) == 0
    result, records = (
        json.loads((tmp_path / "result.json").read_text()),
        log.read(epath.Path(tmp_path)),
    )
    stopped = result["stopped"]
    assert (
        len(set(stopped)) > 1
        and max(stopped) <= result["steps"] < 2000
        and result["steps"] - max(stopped) <= 40
    )
    # after it is done a seed trains no more, and its test is always the same
    for i, step in enumerate(stopped):
        assert all(
            (r["loss"][i] is None) == (r["step"] >= step + 40)
            for r in records
            if r["split"] == "train"
        )
        assert (
            len({r["mse"][i] for r in records if r["split"] == "test" and r["step"] >= step}) == 1
        )
    middle = sorted(stopped)[0] // 40 * 40 + 40  # one seed is done there, another is not
    for folder in (tmp_path / "checkpoints").iterdir():
        if folder.name.isdigit() and int(folder.name) > middle:
            shutil.rmtree(folder)
    (tmp_path / "result.json").unlink()
    assert command.main(arguments) == 0
    again = json.loads((tmp_path / "result.json").read_text())
    assert (again["stopped"], again["metrics"], again["steps"]) == (
        stopped,
        result["metrics"],
        result["steps"],
    )

    def timeless(records):
        return [
            {key: value for key, value in r.items() if key != "examples_per_s"} for r in records
        ]

    assert timeless(log.read(epath.Path(tmp_path))) == timeless(records)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"stop.metric": "train/mse"},
            "stop.last: needs a stop.metric of single training examples, which 'train/mse' is not",
        ),
        (
            {"stop.metric": "train/sequence_error", "stop.last": 50},
            "stop.last: 50 examples must be whole batches",
        ),
        (
            {"stop.metric": "test/sequence_error"},
            "which 'test/sequence_error' is not; choose from train/sequence_error",
        ),
        ({}, "which '' is not"),
    ],
)
def test_a_window_that_cannot_slide_is_refused(changes, words):
    with pytest.raises(BadInput) as error:
        build(
            **{"task__tolerance": 0.3, "stop__last": 48}
            | {k.replace(".", "__"): v for k, v in changes.items()}
        )
    assert words in str(error.value)


def test_a_window_is_refused_over_data_whose_batches_are_not_all_whole():
    keys = {
        "task.tolerance": 0.3,
        "stop.metric": "train/sequence_error",
        "stop.last": 48,
        "data.batch_size": 48,
    }
    _, config = load.load("configs/lstm_adding.py:T=4", keys)
    e = experiments.build(config)
    bucketed = dataclasses.replace(e.dataset.train, bucket=np.zeros(8, np.int32))
    with pytest.raises(
        BadInput,
        match="stop.last: needs whole batches, but the last of each bucket of 'adding' is not",
    ):
        checks.of_metrics(
            config, dataclasses.replace(e, dataset=dataclasses.replace(e.dataset, train=bucketed))
        )
