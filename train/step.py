"""The step: pure functions of one replica of one seed on one device. Nothing here knows how many of either there are."""

import jax
import jax.numpy as jnp
import optax

from train import optim
from train.metrics import Sums
from train.state import DROPOUT, INIT, TrainState, stream
from train.tasks import Batch


def init(experiment, seed: int) -> TrainState:
    """The state of one seed before its first step. The seed decides every initial weight."""
    batch = experiment.example_batch()
    key = stream(seed, 0, INIT)
    variables = experiment.model.init({"params": key, "dropout": key}, batch["input"], batch["mask"], train=False)
    model_state, params = {k: v for k, v in variables.items() if k != "params"}, variables["params"]
    return TrainState(jnp.zeros([], jnp.int32), params, model_state, experiment.optimizer.update.init(params))


def train_step(state: TrainState, batch: Batch, seed: jax.Array, *, experiment, axis: str | None) -> tuple[TrainState, Sums]:
    """One update from this device's share of the global batch; `axis` names the devices that hold the other shares.

    The gradient is that of the loss summed over the global batch, divided once by the global count of valid items:
    shares with unequal counts weigh right, and any number of devices gives the same update. The sums returned are those
    of the global batch, and beside the task's: "steps", "lr" and "grad_norm" (of the mean loss, before any clipping).
    """

    def loss(params):
        outputs, model_state = experiment.model.apply(
            {"params": params, **state.model_state},
            batch["input"],
            batch["mask"],
            train=True,
            mutable=list(state.model_state),
            rngs={"dropout": stream(seed, state.step, DROPOUT)},
        )
        sums = experiment.task.sums(outputs, batch)
        return sums["loss"], (sums, model_state)

    grads, (sums, model_state) = jax.grad(loss, has_aux=True)(state.params)
    if axis:
        grads, sums = jax.lax.psum((grads, sums), axis)
        model_state = jax.lax.pmean(model_state, axis)
    count = jnp.maximum(sums["count"], 1)
    grads = jax.tree.map(lambda g: g / count, grads)
    updates, opt_state = experiment.optimizer.update.update(grads, state.opt_state, state.params, value=sums["loss"] / count)
    lr = optim.learning_rate(experiment.optimizer, state.opt_state, state.step)
    sums |= dict(steps=1, lr=lr, grad_norm=optax.tree.norm(grads))
    return TrainState(state.step + 1, optax.apply_updates(state.params, updates), model_state, opt_state), sums


def eval_step(state: TrainState, batch: Batch, *, experiment, axis: str | None) -> Sums:
    """The totals of the global batch under the current parameters (or their average, with optim.ema)."""
    params = optim.averaged(state.opt_state, state.params)
    outputs = predict({"params": params, **state.model_state}, batch, model=experiment.model)
    sums = experiment.task.sums(outputs, batch)
    return jax.lax.psum(sums, axis) if axis else sums


def predict(variables, batch: Batch, *, model) -> jax.Array:
    """The model's outputs in evaluation. Where the input is several views, the logarithm of their mean softmax [B, classes].

    Views are a tuple with one array [B, V, ...] for each size of image; every view weighs the same.
    """
    if not isinstance(batch["input"], tuple):
        return model.apply(variables, batch["input"], batch["mask"], train=False)

    def log_p(views):  # [B, V, ...] -> [B, V, classes]
        images, mask = views.reshape(-1, *views.shape[2:]), jnp.repeat(batch["mask"], views.shape[1], axis=0)
        logits = model.apply(variables, images, mask, train=False)
        return jax.nn.log_softmax(logits.astype(jnp.float32)).reshape(*views.shape[:2], -1)

    each = jnp.concatenate([log_p(views) for views in batch["input"]], axis=1)
    return jax.nn.logsumexp(each, axis=1) - jnp.log(each.shape[1])
