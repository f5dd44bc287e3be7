"""The step: pure functions of one replica of one seed on one device.

Nothing here knows how many seeds or devices there are.
"""

import jax
import jax.numpy as jnp
import optax

from architectures import decoding
from train import optim, real_time
from train.metrics import Sums
from train.state import DROPOUT, INIT, TrainState, stream
from train.tasks import Batch


def init(experiment, seed: int) -> TrainState:
    """The state of one seed before its first step. The seed decides every initial weight."""
    batch = experiment.example_batch()
    key = stream(seed, 0, INIT)
    variables = experiment.model.init(
        {"params": key, "dropout": key}, batch["input"], batch["mask"], train=False
    )
    model_state, params = {k: v for k, v in variables.items() if k != "params"}, variables["params"]
    model_state |= initial_memory(experiment.model, experiment.batch_size)
    opt_state = experiment.optimizer.update.init(params)
    return TrainState(
        jnp.zeros([], jnp.int32), params, model_state, opt_state, experiment.stop.start()
    )


def initial_memory(model, rows: int) -> dict:
    """{"memory": what a model that reads a stream knows before its first window, [rows, ...]}.

    {} for other models.
    """
    return {"memory": model.initial_memory(rows)} if hasattr(model, "initial_memory") else {}


def _refreshed(model, memory: dict, fresh: jax.Array) -> dict:
    """The memory, with the initial one in the rows whose stream starts again."""
    initial = initial_memory(model, len(fresh))
    return jax.tree.map(lambda new, old: jnp.where(fresh[:, None], new, old), initial, memory)


def gradients(state: TrainState, batch: Batch, seed: jax.Array, *, experiment, axis: str | None):
    """The gradients of the mean loss over the global batch, its sums, and the new model state.

    They are the same on every device.
    """
    memory = {name: state.model_state[name] for name in state.model_state if name == "memory"}
    if memory:
        rows = len(batch["fresh"])
        first = jax.lax.axis_index(axis) * rows if axis else 0
        own = jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, first, rows), memory)
        memory = _refreshed(experiment.model, own, batch["fresh"])

    def loss(params):
        outputs, model_state = experiment.model.apply(
            {"params": params, **state.model_state, **memory},
            batch["input"],
            batch["mask"],
            train=True,
            mutable=list(state.model_state),
            rngs={"dropout": stream(seed, state.step, DROPOUT)},
        )
        sums = experiment.task.sums(outputs, batch)
        own = sums["loss"]
        if axis:
            sums = jax.lax.psum(sums, axis)
        return own / jnp.maximum(sums["count"], 1), (sums, model_state)

    grads, (sums, model_state) = jax.grad(loss, has_aux=True)(state.params)
    if axis:
        grads = jax.lax.psum(grads, axis)
        whole = {name: jax.lax.all_gather(model_state[name], axis, tiled=True) for name in memory}
        model_state = (
            jax.lax.pmean({k: v for k, v in model_state.items() if k not in memory}, axis) | whole
        )
    return grads, sums, model_state


def train_step(
    state: TrainState, batch: Batch, seed: jax.Array, *, experiment, axis: str | None
) -> tuple[TrainState, Sums]:
    """One update from this device's share of the global batch.

    `axis` names the devices that hold the other shares. With optim.real_time there is one update
    per time step of one sequence.

    The gradient is that of the loss summed over the global batch and divided by the global count of
    valid items, so shares with unequal counts have the right weight, and any number of devices
    gives the same update. The sums returned are those of the global batch; besides the task's sums
    they have "steps", "lr" and "grad_norm" (of the mean loss, before any clipping).
    A memory holds all rows of the global batch, the same on every device.
    With optim.skip_nonfinite, a step whose loss or whole gradient is not finite changes only
    state.step and the sum "skipped"; the stop counts its examples as wrong.
    """
    if experiment.real_time:
        params, opt_state, grads, outputs = real_time.updates(
            state, batch, seed, experiment=experiment
        )
        sums, model_state = experiment.task.sums(outputs, batch), state.model_state
        value = sums["loss"] / jnp.maximum(sums["count"], 1)
    else:
        grads, sums, model_state = gradients(state, batch, seed, experiment=experiment, axis=axis)
        value = sums["loss"] / jnp.maximum(sums["count"], 1)
        updates, opt_state = experiment.optimizer.update.update(
            grads, state.opt_state, state.params, value=value
        )
        params = optax.apply_updates(state.params, updates)
    lr = optim.learning_rate(experiment.optimizer, state.opt_state, opt_state)
    sums |= dict(steps=1, skipped=0, lr=lr, grad_norm=optax.tree.norm(grads))
    step = state.step + 1
    new = TrainState(
        step, params, model_state, opt_state, experiment.stop.seen(state.stop, step, sums)
    )
    if experiment.skip_nonfinite:
        finite = jnp.isfinite(sums["grad_norm"]) & jnp.isfinite(value)
        # a loss that is not finite counts as wrong
        wrong = dict(wrong=experiment.batch_size, count=experiment.batch_size, correct=0)
        kept = state.replace(step=step, stop=experiment.stop.seen(state.stop, step, wrong))
        kept = (kept, jax.tree.map(jnp.zeros_like, sums) | dict(skipped=1))
        new, sums = jax.tree.map(lambda new, old: jnp.where(finite, new, old), (new, sums), kept)
    return new, sums


def eval_step(
    state: TrainState, batch: Batch, *, memory: dict, experiment, axis: str | None
) -> tuple[Sums, dict]:
    """The totals of the global batch under the current parameters, and the new memory.

    With optim.ema the parameters are their average. With eval.ensemble the state has all members,
    [members, ...], which are judged by their mean softmax.
    """
    if memory:
        memory = _refreshed(experiment.model, memory, batch["fresh"])

    def outputs_of(state):
        params = optim.averaged(state.opt_state, state.params)
        return predict(
            {"params": params, **state.model_state, **memory}, batch, model=experiment.model
        )

    if experiment.ensemble > 1:
        outputs = log_mean(
            jax.lax.map(lambda member: jax.nn.log_softmax(outputs_of(member)[0]), state), axis=0
        )
    else:
        outputs, memory = outputs_of(state)
    sums = experiment.task.sums(outputs, batch)
    return jax.lax.psum(sums, axis) if axis else sums, memory


def predict(variables, batch: Batch, *, model) -> tuple[object, dict]:
    """The model's outputs in evaluation, and its new memory.

    Where the input is several views, the outputs are the logarithm of their mean softmax
    [B, classes]. For a pair they are {"logits": [B, T, V] given the target, "tokens": the greedy
    decode}.

    Views are a tuple of arrays [B, V, ...], one for each kind and size. The views of an array have
    equal weights, and so do the arrays.
    """
    memory = ["memory"] if "memory" in variables else []
    if isinstance(batch["input"], dict):
        logits = model.apply(variables, batch["input"], batch["mask"], train=False)
        tokens = decoding.greedy(model, variables, batch["input"]["source"], batch["mask"])
        return dict(logits=logits, tokens=tokens), {}
    if not isinstance(batch["input"], tuple):
        outputs, memory = model.apply(
            variables, batch["input"], batch["mask"], train=False, mutable=memory
        )
        return outputs, memory

    def log_p(views):  # [B, V, ...] -> [B, classes]
        images, mask = (
            views.reshape(-1, *views.shape[2:]),
            jnp.repeat(batch["mask"], views.shape[1], axis=0),
        )
        logits = model.apply(variables, images, mask, train=False)
        return log_mean(
            jax.nn.log_softmax(logits.astype(jnp.float32)).reshape(*views.shape[:2], -1), axis=1
        )

    return log_mean(jnp.stack([log_p(views) for views in batch["input"]]), axis=0), {}


def log_mean(log_p, axis: int):
    """The logarithm of the mean of exp(log_p) along an axis."""
    return jax.nn.logsumexp(log_p, axis=axis) - jnp.log(log_p.shape[axis])
