"""What evaluation sees and averages: views of an image, several scales, and networks that are
judged together."""

import contextlib
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from helpers import LENET, batch, build, refused

from train import hosts, loop, step
from train.data import DATASETS
from train.loop import fresh_state
from train.parallel import Program
from train.tasks import TASKS


class Convolutional(nn.Module):
    """The smallest network that takes images of any size."""

    classes: int = 10

    @nn.compact
    def __call__(self, x, mask, *, train):
        return nn.Dense(self.classes)(nn.relu(nn.Conv(8, (3, 3))(x)).mean((1, 2)))


def softmax(logits):
    p = np.exp(logits - logits.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


def test_views_of_a_size_are_judged_by_the_mean_of_their_softmaxes_and_several_sizes_by_the_mean_of_those():
    rng = np.random.default_rng(0)
    views = tuple(
        rng.normal(size=(5, v, side, side, 3)).astype(np.float32) * 3
        for v, side in ((2, 8), (10, 6), (1, 11))
    )
    model = Convolutional()
    mask = jnp.ones([5], bool)
    variables = model.init(jax.random.key(1), views[0][:, 0], mask, train=False)
    variables = jax.tree.map(lambda x: 5 * x, variables)  # else every softmax is flat
    each = [
        [
            softmax(np.asarray(model.apply(variables, size[:, v], mask, train=False)))
            for v in range(size.shape[1])
        ]
        for size in views
    ]
    means = [np.mean(p, axis=0) for p in each]
    for count in (1, 3):
        log_p = step.predict(variables, dict(input=views[:count], mask=mask), model=model)[0]
        np.testing.assert_allclose(
            np.exp(log_p), np.mean(means[:count], axis=0), rtol=1e-4, atol=1e-30
        )
    # else a mean of logits, or one in which every view weighs the same, would pass as well
    alike = np.concatenate(each)
    of_logits = softmax(np.mean(np.log(np.add(alike, 1e-300, dtype=float)), axis=0))
    for other in (of_logits, alike.mean(0)):
        assert np.abs(np.mean(means, axis=0) - other).max() > 0.01


def test_a_class_that_no_view_gives_a_probability_has_a_finite_loss():
    class Sure(nn.Module):
        def __call__(self, x, mask, *, train):
            return jnp.array([500.0, 0.0]) + 0 * x.mean((1, 2))

    batch = dict(
        input=(jnp.zeros([1, 2, 4, 4, 2]),), mask=jnp.ones([1], bool), target=jnp.array([1])
    )
    sums = TASKS["classify"]().sums(step.predict({}, batch, model=Sure())[0], batch)
    assert float(sums["loss"]) == pytest.approx(500)


def test_the_views_of_an_example_are_given_the_mask_of_that_example():
    class Mask(nn.Module):
        def __call__(self, x, mask, *, train):
            return jnp.stack([mask, 0 * mask], axis=1) + 0 * x.mean((1, 2))

    batch = dict(input=(jnp.zeros([3, 4, 5, 5, 2]),), mask=jnp.array([True, False, True]))
    p = np.exp(step.predict({}, batch, model=Mask())[0])[:, 0]
    np.testing.assert_allclose(p, [1 / (1 + np.exp(-1)), 0.5, 1 / (1 + np.exp(-1))], rtol=1e-5)


@pytest.mark.parametrize("devices", [1, 8])
def test_ten_crops_of_every_test_image_are_averaged_once_in_the_error_that_a_run_reports(devices):
    changes = dict(
        data__pad=4, data__crop=32, data__views="ten", data__source="embedded", eval__batch_size=300
    )
    e = build(LENET, parallel__devices=devices, seeds=(0,), **changes)
    program = Program(e)
    state = fresh_state(e)
    _, sums = program.evaluate(program.start(state), "test")
    sums = {name: float(total[0]) for name, total in program.fetch(sums).items()}

    plain = build(LENET, data__pad=4, data__crop=32, data__source="embedded", data__views="centre")
    whole = DATASETS["fashion_mnist"](source="embedded", pad=4)
    image = np.asarray(batch(whole.evals["test"], range(1000))["input"])
    label = whole.evals["test"].arrays["label"]
    params = jax.tree.map(lambda x: x[0], state.params)
    apply = jax.jit(lambda x: plain.model.apply({"params": params}, x, None, train=False))
    p = 0
    for top, left in ((0, 0), (0, 4), (4, 0), (4, 4), (2, 2)):
        crop = image[:, top : top + 32, left : left + 32]
        p = (
            p
            + softmax(np.asarray(apply(crop))) / 10
            + softmax(np.asarray(apply(crop[:, :, ::-1]))) / 10
        )
    assert sums["count"] == 1000
    assert abs(sums["correct"] - (p.argmax(-1) == label).sum()) <= 1
    assert sums["loss"] == pytest.approx(-np.log(p[np.arange(1000), label]).sum(), rel=1e-5)


def test_a_network_of_any_size_is_evaluated_on_several_scales_at_once(cifar):
    data = DATASETS["cifar10"](crop=24, views="dense", eval_scales=(24, 32, 40), scale="unit")
    e = dataclasses.replace(
        build(LENET, seeds=(0,), data__source="embedded"), dataset=data, model=Convolutional()
    )
    assert e.example_shapes()["input"].shape == (1, 24, 24, 3)
    assert [x.shape for x in e.example_shapes("test")["input"]] == [
        (1, 2, s, s, 3) for s in (24, 32, 40)
    ]
    assert e.shapes[1].shape == (1, 10)
    program = Program(e)
    _, sums = program.evaluate(program.start(fresh_state(e)), "test")
    assert program.fetch(sums)["count"].tolist() == [20]


def test_a_network_whose_weights_do_not_fit_the_size_in_evaluation_is_refused_in_one_line(cifar):
    class Flat(nn.Module):
        @nn.compact
        def __call__(self, x, mask, *, train):
            return nn.Dense(10)(x.reshape(x.shape[0], -1))

    data = DATASETS["cifar10"](crop=24)
    e = dataclasses.replace(
        build(LENET, seeds=(0,), data__source="embedded"), dataset=data, model=Flat()
    )
    with pytest.raises(
        ValueError,
        match=r"of \[\(24, 24, 3\)\] do not fit \[\(32, 32, 3\)\] \(in evaluation, on 'test'\)$",
    ):
        _ = e.shapes


@pytest.mark.parametrize("devices", [1, 8])
def test_an_ensemble_is_judged_by_the_mean_of_its_members_softmaxes_and_each_seed_is_in_one(
    devices,
):
    e = build(
        LENET,
        data__source="embedded",
        seeds=(3, 4, 5, 6),
        eval__ensemble=2,
        parallel__devices=devices,
    )
    program = Program(e)
    state = fresh_state(e)
    # else every softmax is flat
    state = state.replace(params=jax.tree.map(lambda x: 3 * x, state.params))
    sums = loop.evaluate(program, program.start(state))[1]["test"]
    loss = program.fetch(sums)["loss"]
    image = np.asarray(batch(e.dataset.evals["test"], range(1000))["input"])
    label = e.dataset.evals["test"].arrays["label"]
    each = jax.vmap(
        lambda params: jax.nn.log_softmax(
            e.model.apply({"params": params}, image, None, train=False)
        )
    )(state.params)
    log_p = np.asarray(each, float)[:, np.arange(1000), label]  # [S, N]
    expected = [
        -np.logaddexp(log_p[a], log_p[b]).sum() + 1000 * np.log(2) for a, b in ((0, 2), (1, 3))
    ]
    np.testing.assert_allclose(loss, expected, rtol=1e-4)
    assert expected[0] != pytest.approx(expected[1], rel=1e-2)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["eval.ensemble=2"], "eval.ensemble: 2 does not divide 3 seeds"),
        (
            ["eval.ensemble=3", "parallel.seeds=devices", "seeds=0,1,2,3,4,5"],
            "divides the seeds over devices; choose from map, vmap",
        ),
        (
            ["eval.ensemble=3", "stop.metric=test/error"],
            "stop.metric='test/error' is one of every seed; use one of train/...",
        ),
        (
            ["eval.ensemble=3", "model.name=lenet5_1998", "task.name=classify_rbf"],
            "needs probabilities",
        ),
        (
            [
                "eval.ensemble=3",
                "data.name=kjv",
                "data.vocabulary=char",
                "model.name=language_model",
            ],
            "has a memory, which each",
        ),
    ],
)
def test_an_ensemble_that_cannot_be_is_refused(settings, words):
    assert words in refused(
        "--config.seeds=0,1,2", *[f"--config.{setting}" for setting in settings]
    )


def test_the_watchdog_is_put_off_at_each_dispatch_of_training_and_of_evaluation(monkeypatch):
    e = build(steps_per_dispatch=2, eval__batch_size=8, data__examples=32)
    signs = []
    monkeypatch.setattr(hosts, "alive", lambda: signs.append(len(signs)))
    with contextlib.closing(Program(e)) as program:
        carry, _ = program.train(program.start(fresh_state(e)), 0, 2)
        assert len(signs) == 1
        program.evaluate(carry, "test")
    assert len(signs) == 1 + 32 // 8 // 2
