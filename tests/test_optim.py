"""Optimizers and schedules: each does what its equation says."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import build, differ, losses, trained

from train import optim
from train.loop import fresh_state
from train.optim import OPTIMIZERS, SCHEDULES
from train.parallel import Program

PLAIN = dict(optim__name="sgd", optim__clip_norm=None, optim__lr=0.1)
BARE = dict(
    warmup=0,
    warmup_factor=0.0,
    weight_decay=0.0,
    decay="coupled",
    decay_mask="all",
    clip_norm=None,
    clip_value=None,
)


def rates(schedule: str, steps: int, **options) -> np.ndarray:
    """The learning rate at each step of an experiment whose peak is 1."""
    options = {f"schedule__{key}": value for key, value in options.items()}
    e = build(optim__lr=1.0, optim__steps=steps, schedule__name=schedule, **options)
    return np.array([e.optimizer.lr(jnp.asarray(step)) for step in range(steps)])


@pytest.mark.parametrize(
    ("schedule", "options", "expected"),
    [
        ("constant", {}, [1, 1, 1, 1]),
        ("constant", dict(warmup=4), [0.25, 0.5, 0.75, 1]),
        ("constant", dict(warmup=2, warmup_factor=0.1), [0.1, 0.1, 1, 1]),
        ("step", dict(boundaries=(1, 3), factor=0.1), [1, 0.1, 0.1, 0.01]),
        ("exponential", dict(every=2, factor=0.25), [1, 0.5, 0.25, 0.125]),
        ("exponential", dict(every=2, factor=0.25, staircase=True), [1, 1, 0.25, 0.25]),
        ("linear", dict(final=0.2), [1, 0.8, 0.6, 0.4]),
        ("cosine", {}, [1, 0.853553, 0.5, 0.146447]),
    ],
)
def test_a_schedule_follows_its_rule(schedule, options, expected):
    np.testing.assert_allclose(rates(schedule, 4, **options), expected, rtol=1e-5)


def test_lr_per_scales_the_learning_rate_with_the_batch():
    assert build(optim__lr=0.1, optim__lr_per=256, data__batch_size=64).optimizer.lr(
        0
    ) == pytest.approx(0.025)


def test_plateau_lowers_the_rate_when_the_loss_stops_falling_and_not_before():
    rule = SCHEDULES["plateau"](
        duration=lambda key, steps: steps, accumulate=1, patience=2, factor=0.1, window=1
    )
    optimizer = optim.build(OPTIMIZERS["sgd"](), rule, lr=1.0, accumulate=1, ema=0.0, **BARE)
    params = jnp.zeros([1])
    state, seen = optimizer.update.init(params), []
    for loss in (5.0, 4.0, 4.0, 4.0, 4.0):
        update, after = optimizer.update.update(
            jnp.ones([1]), state, params, value=jnp.asarray(loss)
        )
        seen.append((float(-update[0]), float(optim.learning_rate(optimizer, state, after))))
        state = after
    used, said = zip(*seen, strict=True)
    assert (
        used == pytest.approx(said)
        and said[:3] == (1.0, 1.0, 1.0)
        and said[-1] == pytest.approx(0.1)
    )


def test_parameters_may_be_called_as_fields_of_the_optimizer_are():
    # as batch norm's is
    params = {"scale": jnp.ones([2]), "rest": {"scale": jnp.ones([3]), "average": jnp.ones([1])}}
    common = dict(
        lr=0.5,
        warmup=0,
        warmup_factor=0.0,
        accumulate=1,
        weight_decay=0.0,
        decay="coupled",
        decay_mask="all",
    )
    for rule in (
        SCHEDULES["constant"](),
        SCHEDULES["plateau"](
            duration=lambda key, steps: steps, accumulate=1, patience=2, factor=0.1, window=1
        ),
    ):
        optimizer = optim.build(
            OPTIMIZERS["adam"](), rule, clip_norm=None, clip_value=None, ema=0.0, **common
        )
        state = optimizer.update.init(params)
        assert float(optim.learning_rate(optimizer, state, state)) == 0.5
        assert optim.averaged(state, params) is params


def test_plateau_counts_its_window_in_batches_also_where_an_update_is_of_two():
    rule = SCHEDULES["plateau"](
        duration=lambda key, steps: steps, accumulate=2, patience=1, factor=0.1, window=4
    )
    optimizer = optim.build(OPTIMIZERS["sgd"](), rule, lr=1.0, accumulate=2, ema=0.0, **BARE)
    params, scales = jnp.zeros([1]), []
    state = optimizer.update.init(params)
    for _ in range(12):
        _, state = optimizer.update.update(jnp.ones([1]), state, params, value=jnp.asarray(5.0))
        scales.append(float(optax.tree_utils.tree_get(state, "scale")))
    assert (
        scales[:7] == [1.0] * 7
        and scales[7:11] == pytest.approx([0.1] * 4)
        and scales[11] == pytest.approx(0.01)
    )


def test_a_dispatch_never_holds_more_steps_than_there_are_to_the_next_event():
    assert build(steps_per_dispatch=10**9, log__every=7).steps_per_dispatch == 7


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_lowers_the_loss(name):
    lr = dict(sgd=0.1, momentum=0.03, nesterov=0.03, adadelta=1.0).get(name, 0.01)
    curve, _, _ = losses(
        build(optim__name=name, optim__lr=lr, data__batch_size=24), 60, at_a_time=4
    )
    assert curve[-3:].mean() < 0.6 * curve[0].mean()


def by_hand(name: str, gradients, **k):
    """The steps that an optimizer's docstring says, at lr 1."""
    v = m = n = d = 0.0
    n = k.get("initial", 0.0)
    for t, g in enumerate(gradients, 1):
        if name in ("momentum", "nesterov"):
            v = k["momentum"] * v + g
            yield v if name == "momentum" else g + k["momentum"] * v
        elif name == "rmsprop":
            n = k["rms_decay"] * n + (1 - k["rms_decay"]) * g**2
            yield g / np.sqrt(n + k["eps"])
        elif name == "adagrad":
            n += g**2
            yield g / np.sqrt(n + k["eps"])
        elif name == "adadelta":
            n = k["rho"] * n + (1 - k["rho"]) * g**2
            yield (step := np.sqrt(d + k["eps"]) / np.sqrt(n + k["eps"]) * g)
            d = k["rho"] * d + (1 - k["rho"]) * step**2
        else:
            m, n = k["b1"] * m + (1 - k["b1"]) * g, k["b2"] * n + (1 - k["b2"]) * g**2
            yield m / (1 - k["b1"] ** t) / (np.sqrt(n / (1 - k["b2"] ** t)) + k["eps"])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("momentum", dict(momentum=0.5)),
        ("nesterov", dict(momentum=0.5)),
        ("rmsprop", dict(rms_decay=0.7, eps=0.1, initial=0.5)),
        ("adagrad", dict(initial=0.5, eps=0.1)),
        ("adadelta", dict(rho=0.7, eps=0.1)),
        ("adam", dict(b1=0.5, b2=0.9, eps=0.1)),
    ],
)
def test_an_optimizer_follows_its_equation(name, options):
    gradients, transformation = (1.0, -0.5, 2.0), OPTIMIZERS[name](**options)
    state, steps = transformation.init(jnp.zeros([])), []
    for g in gradients:
        update, state = transformation.update(jnp.asarray(g), state, jnp.zeros([]))
        steps.append(float(update))
    assert steps == pytest.approx(list(by_hand(name, gradients, **options)), rel=1e-5)


def test_accumulating_two_batches_is_one_update_of_their_mean_gradient():
    e = build(**PLAIN, optim__accumulate=2)
    one = build(**PLAIN)
    program, state = Program(one), fresh_state(one)
    assert differ(trained(e, 1), state.params) == 0  # the first of two batches updates nothing

    def stepped(at):
        """From the initial weights, on the batch of step `at`."""
        begun = program.start(state.replace(step=np.full_like(state.step, at)))
        return program.state(program.train(begun, at, 1)[0]).params

    mean = jax.tree.map(lambda a, b: (a + b) / 2, stepped(0), stepped(1))
    assert differ(trained(e, 2), mean) < 1e-6 < differ(stepped(0), stepped(1))


@pytest.mark.parametrize(("mask", "biases_shrink"), [("kernels", False), ("all", True)])
@pytest.mark.parametrize("decay", ["coupled", "decoupled"])
def test_weight_decay_shrinks_what_its_mask_says(decay, mask, biases_shrink):
    decayed = trained(
        build(**PLAIN, optim__decay=decay, optim__decay_mask=mask, optim__weight_decay=0.5), 1
    )
    plain = trained(build(**PLAIN), 1)
    initial = losses(build(**PLAIN), 0)
    initial = initial[1].state(initial[2]).params
    for d, p, i in zip(*(_leaves(tree) for tree in (decayed, plain, initial)), strict=True):
        shrinks = biases_shrink or i.ndim > 2  # one axis is the seeds'
        np.testing.assert_allclose(d, p - (0.1 * 0.5 * i if shrinks else 0), atol=1e-6)


def _leaves(tree):
    return jax.tree.leaves(tree)


def test_decoupled_and_coupled_decay_differ_under_adam():
    one, other = (
        trained(build(optim__decay=d, optim__weight_decay=0.1), 3) for d in ("coupled", "decoupled")
    )
    assert differ(one, other) > 1e-4


def test_clipping_by_norm_bounds_the_whole_step_and_by_value_each_element():
    initial = losses(build(**PLAIN), 0)
    initial = initial[1].state(initial[2]).params
    by_norm = trained(build(**PLAIN | dict(optim__clip_norm=1e-3)), 1)
    by_value = trained(build(**PLAIN, optim__clip_value=1e-3), 1)
    norm = np.sqrt(
        sum(
            float(((a - b) ** 2).sum())
            for a, b in zip(_leaves(by_norm), _leaves(initial), strict=True)
        )
    )
    assert norm == pytest.approx(0.1 * 1e-3, rel=1e-2)
    assert differ(by_value, initial) == pytest.approx(0.1 * 1e-3, rel=1e-2)


def test_evaluation_uses_the_average_of_the_parameters_where_one_is_kept():
    e = build(optim__ema=0.8, optim__lr=0.05)
    _, program, carry = losses(e, 2)
    state = program.state(carry)
    averaged = optim.averaged(state.opt_state, state.params)
    states = [losses(build(optim__lr=0.05), n) for n in (0, 1, 2)]
    p0, p1, p2 = (_leaves(s[1].state(s[2]).params) for s in states)
    for a, x, y, z in zip(_leaves(averaged), p0, p1, p2, strict=True):
        np.testing.assert_allclose(a, 0.64 * x + 0.16 * y + 0.2 * z, atol=1e-6)
    _, sums = program.evaluate(carry, "test")
    plain = losses(build(optim__lr=0.05), 2)
    _, others = plain[1].evaluate(plain[2], "test")
    assert program.fetch(sums)["loss"] != plain[1].fetch(others)["loss"]
