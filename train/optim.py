"""Optimizers and learning-rate schedules by name, put together from optax's parts.

One update is, in this order: clip; coupled weight decay (L2 in the gradient); the optimizer;
decoupled weight decay; times the learning rate. The learning rate at step t is
lr * warmup(t) * schedule(t), a function of the steps alone (steps that optim.skip_nonfinite skipped
do not count), except for `plateau`, which looks at the training loss.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from train.duration import Duration

DECAYS = ("coupled", "decoupled")
DECAY_MASKS = ("kernels", "all")
# parameters whose names end in these are not kernels, whatever their shape
UNDECAYED = ("bias", "coefficient", "scale")


def decays(name: str) -> bool:
    """Whether a parameter of that name is a kernel, which optim.decay_mask="kernels" decays."""
    return not name.endswith(UNDECAYED)


def _below_one(**decays: float) -> None:
    for name, decay in decays.items():
        if not 0 <= decay < 1:
            raise ValueError(f"{name}: {decay} is outside [0, 1)")


def _at_least(low: float, **values: float) -> None:
    for name, value in values.items():
        if not low <= value < 2**31:  # counts are int32
            raise ValueError(f"{name}: {value} must be at least {low} and below 2**31")


def sgd():
    """The step is lr g."""
    return optax.identity()


def momentum(*, momentum: float = 0.9):
    """v = momentum v + g; the step is lr v."""
    _below_one(momentum=momentum)
    return optax.trace(momentum)


def nesterov(*, momentum: float = 0.9):
    """v = momentum v + g; the step is lr (g + momentum v)."""
    _below_one(momentum=momentum)
    return optax.trace(momentum, nesterov=True)


def rmsprop(*, rms_decay: float = 0.9, eps: float = 1e-8, initial: float = 0.0):
    """n = rms_decay n + (1 - rms_decay) g^2, n_0 = initial; the step is lr g / sqrt(n + eps)."""
    _below_one(rms_decay=rms_decay)
    _at_least(0, eps=eps, initial=initial)
    return optax.scale_by_rms(rms_decay, eps, initial)


def adagrad(*, initial: float = 0.1, eps: float = 1e-7):
    """n = n + g^2, n_0 = initial; the step is lr g / sqrt(n + eps). Duchi et al. 2011."""
    _at_least(0, eps=eps, initial=initial)
    return optax.scale_by_rss(initial, eps)


def adadelta(*, rho: float = 0.95, eps: float = 1e-6):
    """Zeiler 2012, algorithm 1: rho is the decay of both averages, eps is added to both.

    Its step has lr = 1.
    """
    _below_one(rho=rho)
    _at_least(0, eps=eps)
    return optax.scale_by_adadelta(rho, eps)


def adam(*, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8):
    """Kingma & Ba 2015, algorithm 1, with its b1, b2 and eps.

    With optim.decay="decoupled" this is AdamW (Loshchilov & Hutter 2019).
    """
    _below_one(b1=b1, b2=b2)
    _at_least(0, eps=eps)
    return optax.scale_by_adam(b1, b2, eps)


OPTIMIZERS = dict(
    sgd=sgd,
    momentum=momentum,
    nesterov=nesterov,
    rmsprop=rmsprop,
    adagrad=adagrad,
    adadelta=adadelta,
    adam=adam,
)


def constant():
    """The learning rate stays lr."""
    return optax.constant_schedule(1.0)


def step(*, duration, boundaries: tuple = (), factor: float = 0.1):
    """Times `factor` at each of the boundaries (durations)."""
    _at_least(0, factor=factor)
    if not boundaries:
        raise ValueError("boundaries: name at least one, such as 1000,2000")
    factors = {}
    for boundary in (duration("schedule.boundaries", b) for b in boundaries):
        factors[boundary] = factors.get(boundary, 1.0) * factor
    return optax.piecewise_constant_schedule(1.0, factors)


def exponential(*, duration, every: Duration = 1000, factor: float = 0.5, staircase: bool = False):
    """Times `factor` over each `every` (a duration), smoothly or, with staircase, at its end."""
    period = duration("schedule.every", every)
    _at_least(1, every=period)
    if factor <= 0:
        raise ValueError(f"factor: {factor} must be above 0")
    return optax.exponential_decay(1.0, period, factor, staircase=staircase)


def cosine(*, steps, final: float = 0.0):
    """From 1 to `final` over the whole training, along half a cosine. Loshchilov & Hutter 2017."""
    _at_least(0, final=final)
    return optax.cosine_decay_schedule(1.0, max(1, steps), final)


def linear(*, steps, final: float = 0.0):
    """From 1 to `final` over the whole training, along a line."""
    _at_least(0, final=final)
    return optax.linear_schedule(1.0, final, max(1, steps))


def plateau(
    *,
    duration,
    accumulate,
    factor: float = 0.1,
    patience: int = 10,
    cooldown: int = 0,
    window: Duration = 100,
):
    """Times `factor` when the training loss has not fallen for `patience` windows.

    The loss is averaged over each `window` (a duration). After a fall of the rate, the schedule
    waits for `cooldown` windows. With optim.accumulate it looks at the last batch of each update.
    """
    _below_one(factor=factor)
    _at_least(1, patience=patience, window=duration("schedule.window", window))
    _at_least(0, cooldown=cooldown)
    size = max(1, duration("schedule.window", window) // accumulate)  # in updates
    return optax.contrib.reduce_on_plateau(
        factor, patience, cooldown=cooldown, accumulation_size=size
    )


SCHEDULES = dict(
    constant=constant,
    step=step,
    exponential=exponential,
    cosine=cosine,
    linear=linear,
    plateau=plateau,
)


class ParameterAverage(NamedTuple):
    average: Any


def average_parameters(decay: float) -> optax.GradientTransformation:
    """Tracks average = decay average + (1 - decay) parameters, from the initial parameters.

    The updates stay as they are.
    """

    def update(updates, state, params):
        new = optax.apply_updates(params, updates)
        average = jax.tree.map(lambda a, p: decay * a + (1 - decay) * p, state.average, new)
        return updates, ParameterAverage(average)

    return optax.GradientTransformation(ParameterAverage, update)


def averaged(opt_state, params):
    """The parameters to evaluate: their average if optim.ema tracks one, else `params`."""
    kept = _states(opt_state, ParameterAverage)
    return kept[0].average if kept else params


def _states(opt_state, kind: type) -> list:
    """The states of a kind in an optimizer's state.

    They are never found by a field's name, which a parameter may have too.
    """
    return [
        s
        for s in jax.tree.leaves(opt_state, is_leaf=lambda s: isinstance(s, kind))
        if isinstance(s, kind)
    ]


class Optimizer(NamedTuple):
    update: optax.GradientTransformationExtraArgs  # update(grads, opt_state, params, value=loss)
    # the learning rate at a step, before the factor of `plateau`
    lr: Callable[[jax.Array], jax.Array]
    accumulate: int  # steps per update


def build(
    optimizer: optax.GradientTransformation,
    rule,
    *,
    lr: float,
    warmup: int,
    warmup_factor: float,
    weight_decay: float,
    decay: str,
    decay_mask: str,
    clip_norm: float | None,
    clip_value: float | None,
    accumulate: int,
    ema: float,
) -> Optimizer:
    """Puts the parts together.

    `rule` is what an entry of SCHEDULES returned. `warmup` is in steps; during them lr is times
    `warmup_factor`, or rises linearly if that is 0.
    """
    watches_loss = not callable(rule)  # plateau is a transformation: it has a state

    def lr_at(step):
        step = step - step % accumulate  # an update's rate is that of the first of its batches
        rise = (
            jnp.where(step < warmup, warmup_factor or (step + 1) / warmup, 1.0) if warmup else 1.0
        )
        return lr * rise * (1.0 if watches_loss else rule(step))

    def mask(params):
        return jax.tree_util.tree_map_with_path(
            lambda path, _: decay_mask == "all" or decays(path[-1].key), params
        )

    decayed = [optax.add_decayed_weights(weight_decay, mask)] if weight_decay else []
    parts = [
        *([optax.clip(clip_value)] if clip_value else []),
        *([optax.clip_by_global_norm(clip_norm)] if clip_norm else []),
        *(decayed if decay == "coupled" else []),
        optimizer,
        *(decayed if decay == "decoupled" else []),
        *([rule] if watches_loss else []),
        optax.scale_by_learning_rate(lambda updates: lr_at(updates * accumulate)),
        *([average_parameters(ema)] if ema else []),
    ]
    update = optax.chain(*parts)
    if accumulate > 1:
        several = optax.MultiSteps(update, accumulate)
        # its own update would drop `value`
        update = optax.GradientTransformationExtraArgs(several.init, several.update)
    return Optimizer(optax.with_extra_args_support(update), lr_at, accumulate)


def learning_rate(optimizer: Optimizer, before, after) -> jax.Array:
    """The learning rate of the update from one opt_state to the next, with `plateau`'s factor."""
    *_, updates = _states(before, optax.ScaleByScheduleState)
    # plateau looks at the loss of that very step
    plateaus = _states(after, optax.contrib.ReduceLROnPlateauState)
    return optimizer.lr(updates.count * optimizer.accumulate) * (
        plateaus[0].scale if plateaus else 1.0
    )
