"""Numbers that are not finite: the run ends and says where, or leaves the update out."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from etils import epath
from helpers import build

from train import experiment, log, nonfinite, step
from train.__main__ import main
from train.data.source import training_order
from train.errors import NonFinite
from train.loop import fresh_state
from train.parallel import Program

VOWELS = (
    "--config=configs/lstm_japanese_vowels.py",
    "--config.optim.steps=45",
    "--config.checkpoint.every=10",
)
BAD = 5  # the training example with a value that is no number
LENET = dict(
    spec="configs/lenet_fashion_mnist.py",
    data__source="embedded",
    data__batch_size=24,
    steps_per_dispatch=4,
)


@pytest.fixture
def a_bad_example(monkeypatch):
    """JapaneseVowels with a NaN in an example; step(seed): the first that meets it."""
    whole, built = experiment.build, []

    def damaged(config):
        e = whole(config)
        arrays = {name: values.copy() for name, values in e.dataset.train.arrays.items()}
        for values in arrays.values():
            if values.dtype == np.float32:
                values[BAD, 0] = np.nan
        train = dataclasses.replace(e.dataset.train, arrays=arrays)
        built.append(dataclasses.replace(e, dataset=dataclasses.replace(e.dataset, train=train)))
        return built[-1]

    monkeypatch.setattr(experiment, "build", damaged)

    def step(seed: int) -> int:
        train = built[-1].dataset.train
        return next(
            s for s in range(45) if BAD in training_order(train, seed, s, 1, 30)[0]["index"]
        )

    return step


@pytest.mark.parametrize("seeds", [(0,), (3, 0)])
def test_a_run_ends_at_a_loss_that_is_no_number_says_where_and_keeps_what_was_good(
    tmp_path, a_bad_example, seeds
):
    numbers = ",".join(map(str, seeds))
    with pytest.raises(NonFinite) as ending:
        main(
            [
                *VOWELS,
                f"--workdir={tmp_path}",
                f"--config.seeds={numbers}",
                "--config.checkpoint.every=2",
            ]
        )
    step = min(map(a_bad_example, seeds))
    whose = f" of seed {min(seeds, key=a_bad_example)}" if len(seeds) > 1 else ""
    assert ending.value.code == 3
    assert f"not finite in step {step + 1}{whose}; first in the input; " in str(ending.value)
    saved = sorted(int(folder.name) for folder in (tmp_path / "checkpoints").iterdir())
    assert saved == [number for number in (step - step % 2 - 2, step - step % 2) if number > 0]
    assert all(np.isfinite(record["loss"]).all() for record in log.read(epath.Path(tmp_path)))


def test_updates_that_are_not_finite_can_be_left_out_and_are_counted(tmp_path, a_bad_example):
    main(
        [
            *VOWELS,
            f"--workdir={tmp_path}",
            "--config.optim.skip_nonfinite=true",
            "--config.log.every=9",
        ]
    )
    records = [r for r in log.read(epath.Path(tmp_path)) if r["split"] == "train"]
    assert sum(r.get("skipped", [0])[0] for r in records) == 5  # in each epoch, of nine steps, once
    assert all(np.isfinite(r["loss"]).all() for r in records)
    assert json.loads((tmp_path / "result.json").read_text())["metrics"]["test/loss"]["mean"] < 1


def test_a_step_left_out_does_not_move_the_learning_rate_on(tmp_path, a_bad_example):
    keys = (
        "optim.skip_nonfinite=true",
        "log.every=1",
        "schedule.name=constant",
        "schedule.warmup=45",
        "optim.lr=0.45",
    )
    main([*VOWELS, f"--workdir={tmp_path}", *(f"--config.{key}" for key in keys)])
    records = [r for r in log.read(epath.Path(tmp_path)) if r["split"] == "train"]
    lr = [r["lr"][0] for r in records if not r.get("skipped", [0])[0]]
    assert len(lr) == 40
    np.testing.assert_allclose(np.diff(lr), 0.01, rtol=1e-4)


def test_the_examples_of_a_step_left_out_are_wrong_for_the_stop():
    rule = dict(
        stop__metric="train/sequence_error",
        stop__last=48,
        stop__at_most=50.0,
        optim__skip_nonfinite=True,
    )
    e = build(task__tolerance=0.3, parallel__devices=1, **rule)
    state, batch = jax.tree.map(lambda x: jnp.asarray(x[0]), fresh_state(e)), e.example_batch()
    whole = jax.tree.map(lambda x: jnp.repeat(x[:1], 24, axis=0), batch)
    new, sums = step.train_step(
        state, whole | dict(input=whole["input"] * jnp.nan), 0, experiment=e, axis=None
    )
    assert sums["skipped"] == 1 and new.step == 1
    assert new.stop.tolist() == [1] * 24 + [0]  # the steps of the latest 25 wrong ones


def test_leaving_updates_out_changes_nothing_where_all_are_finite(tmp_path):
    def parameters(**changes):
        e = build(**changes)
        program = Program(e)
        carry, _ = program.train(program.start(fresh_state(e)), 0, 4)
        return jax.tree.leaves(program.state(carry))

    for a, b in zip(parameters(), parameters(optim__skip_nonfinite=True), strict=True):
        assert np.array_equal(a, b)


def test_the_first_layer_with_a_value_that_is_not_finite_is_named():
    e = build(**LENET, seeds=(0, 7))
    state = fresh_state(e)
    kernel = state.params["F6"]["kernel"].copy()
    kernel[1] = 3e38
    params = state.params | {"F6": state.params["F6"] | {"kernel": kernel}}
    where = nonfinite.explain(Program(e), state.replace(params=params), 0, 4)
    assert where == "in step 1 of seed 7; first in what F6 gives"


def test_a_class_that_a_generated_example_does_not_have_ends_the_run_and_is_named():
    e = build(**LENET, seeds=(0,))

    def make(arrays, index, keys):
        label = arrays["label"][index]
        return dict(
            input=jnp.zeros([len(index), 32, 32, 1]), target=jnp.where(label < 9, label, -1)
        )

    train = dataclasses.replace(e.dataset.train, make=make)
    e = dataclasses.replace(e, dataset=dataclasses.replace(e.dataset, train=train))
    where = nonfinite.explain(Program(e), fresh_state(e), 0, 4)
    assert where == "in step 1; first in the target, which must be from 0 to 9"


def test_a_gradient_that_is_not_finite_where_all_values_are_is_named_at_the_layer_nearest_to_the_loss():
    e = build(**LENET, seeds=(0,))

    def sums(outputs, batch):
        sums = e.task.sums(outputs, batch)
        # finite; its derivative, inf * 0, is not
        return sums | {"loss": sums["loss"] + jnp.sqrt(0 * outputs.sum())}

    task = dataclasses.replace(e.task, sums=sums)
    where = nonfinite.explain(Program(dataclasses.replace(e, task=task)), fresh_state(e), 0, 4)
    assert where == "in step 1; first in the gradient of OUTPUT/bias"
