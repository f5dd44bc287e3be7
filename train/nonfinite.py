"""A loss or gradient that is not finite: which step, which seed, which layer first."""

import json

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from train import examples, hosts
from train import step as step_lib
from train.metrics import Sums
from train.parallel import Program
from train.state import DATA, TrainState, stream


def bad_seeds(state: TrainState | None, sums: Sums) -> np.ndarray:
    """Which seeds have a loss, gradient, parameters or statistics that are not finite, bool [S].

    The arguments are host arrays [S, ...].
    """
    leaves = [
        sums["loss"],
        sums["grad_norm"],
        *jax.tree.leaves((state.params, state.model_state) if state else ()),
    ]
    return np.any(
        [~np.isfinite(leaf).reshape(len(leaf), -1).all(axis=1) for leaf in map(np.asarray, leaves)],
        axis=0,
    )


def explain(
    program: Program, state: TrainState, step: int, until: int, done: np.ndarray | None = None
) -> str:
    """Trains again from the good `state` to the first bad step, and reports what went bad in it.

    The steps are those from `step` to `until`. done: bool [S], the seeds that stay as they are.
    """
    e, size = program.experiment, program.experiment.steps_per_dispatch
    while step < until:
        steps = min(size, until - step)
        carry, _ = program.train(program.start(state), step, steps, done)
        after, sums = program.fetch(carry)
        bad = bad_seeds(after, sums)
        if bad.any() and size == 1:
            break
        if bad.any():
            size = 1
        else:
            state, step = after, step + steps
    else:
        return f"by step {until:,}: that of each step is, their sum is not"
    seed = int(np.flatnonzero(bad)[0])
    of_seed = f" of seed {e.seeds[seed]}" if len(e.seeds) > 1 else ""
    others = f" (and of {bad.sum() - 1} more)" if bad.sum() > 1 else ""
    return (
        f"in step {step + 1:,}{of_seed}{others}; first {_first_layer(program, state, step, seed)}"
    )


def _first_layer(program: Program, state: TrainState, step: int, seed: int) -> str:
    """Where the coming step's first number that is not finite is: a layer's output or a gradient.

    Layers come in the order of the forward pass, gradients in the opposite order.
    """
    e, outputs, gradients, found = program.experiment, [], [], set()

    def watch(kind: list[str], name: str, own: jax.Array, tree) -> None:
        values = [x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.inexact)]
        if name not in kind:
            kind.append(name)
        if values:
            bad = jnp.any(jnp.stack([~jnp.isfinite(x).all() for x in values]))
            place = ("outputs" if kind is outputs else "gradients", kind.index(name))
            jax.debug.callback(lambda bad, own: bad and found.add((int(own), *place)), bad, own)

    def body(carry, own, shared):
        now, _ = carry

        def layer(call, arguments, keywords, context):
            outcome = call(*arguments, **keywords)
            if context.method_name == "__call__":
                watch(
                    outputs,
                    "/".join(context.module.path) or "the network's output",
                    own["seed"],
                    outcome,
                )
            return outcome

        def look(batch):
            watch(outputs, "the input", own["seed"], batch)
            for part, (bad, _, _, limit) in examples.outside(e.dataset, batch).items():
                name = f"the {part}, which must be from 0 to {limit - 1}"
                watch(outputs, name, own["seed"], jnp.where(bad, jnp.nan, 0.0))
            with nn.intercept_methods(layer):
                grads, _, _ = step_lib.gradients(
                    now, batch, own["seed"], experiment=e, axis=program.layout.axis
                )
            for path, leaf in jax.tree_util.tree_leaves_with_path(grads):
                watch(
                    gradients,
                    jax.tree_util.keystr(path, simple=True, separator="/"),
                    own["seed"],
                    leaf,
                )
            return jnp.zeros([])

        key = stream(own["seed"], now.step, DATA)
        program.batches(e.dataset.train, 0, own, shared, key, program.rows, look)
        return carry

    program.train(program.start(state), step, 1, compiled=program.compile(body))
    jax.effects_barrier()
    found = {
        tuple(place)
        for text in hosts.share(json.dumps(sorted(found)))
        for place in json.loads(text)
    }
    number = e.seeds[seed]
    bad = [outputs[k] for k in range(len(outputs)) if (number, "outputs", k) in found]
    if bad:
        return f"in {bad[0]}" if bad[0].startswith("the ") else f"in what {bad[0]} gives"
    bad = [gradients[k] for k in range(len(gradients)) if (number, "gradients", k) in found]
    deepest = [name for layer in reversed(outputs) for name in bad if name.startswith(f"{layer}/")]
    return (
        f"in the gradient of {(deepest or bad)[0]}"
        if bad
        else "in the gradient's norm or the update"
    )
