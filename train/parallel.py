"""The only pmap (devices) and the only map over seeds.

Everything inside is one seed on one device (step.py).

State and Sums have a leading seed axis on every leaf, also for one seed, and never a device axis.
The devices divide either the batch (each holds all seeds) or the seeds (each holds whole batches of
its own seeds). They are the devices of all processes; each process feeds and reads its own.

Loops have a trip count that XLA cannot see: one program serves every number of steps, and the body
compiles the same way whatever the count, so a seed gives the same bits alone, in a group, and after
a resumption.
"""

import collections
import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

from train import hosts
from train import step as step_lib
from train.data.source import Source, evaluation_order, training_order
from train.data.streamed import Reader
from train.layout import AXIS, SEEDS
from train.metrics import Sums, merge
from train.state import DATA, TrainState, stream
from train.step import eval_step, train_step

# of generated evaluation examples: the same for every training seed, and not one of them
EVALUATION_SEED = 2**31 - 1


def each_seed(body, how: str):
    """Makes body(carry, own, shared) -> carry, for one seed, work on all seeds of a device.

    The seeds are the leading axis; `how` is map or vmap.
    """
    if how == "vmap":
        return jax.vmap(body, in_axes=(0, 0, None))

    def one_after_the_other(carry, own, shared):
        # the same loop, without copying out of the group and back
        if jax.tree.leaves(own)[0].shape[0] == 1:
            alone, mine = jax.tree.map(lambda x: x[0], (carry, own))
            alone = jax.lax.fori_loop(
                0, shared["seeds"], lambda _, carry: body(carry, mine, shared), alone
            )
            return jax.tree.map(lambda x: x[None], alone)

        def one(seed, carry):
            mine = jax.tree.map(lambda x: x[seed], (carry, own))
            return jax.tree.map(lambda old, new: old.at[seed].set(new), carry, body(*mine, shared))

        return jax.lax.fori_loop(0, shared["seeds"], one, carry)

    return one_after_the_other


def _zeros(shapes, n_seeds: int):
    return jax.tree.map(lambda s: np.zeros([n_seeds, *s.shape], s.dtype), shapes)


def no_sums(experiment) -> Sums:
    """The sums of no training step, [S] each, on the host."""
    once = jax.ShapeDtypeStruct([], np.float32)
    count = jax.ShapeDtypeStruct([], np.int32)
    own = dict(steps=count, skipped=count, lr=once, grad_norm=once)
    return _zeros(experiment.shapes[2] | own, len(experiment.seeds))


class Program:
    """The compiled training and evaluation of an experiment on its layout's devices.

    Its carry (state, sums) stays on the devices. `start` makes one from a state on the host;
    `state` returns it to the host.
    """

    def __init__(self, experiment):
        self.experiment, self.layout = experiment, experiment.layout
        self.seeds = np.asarray(experiment.seeds, np.int32)
        data = experiment.dataset
        self.compiled = self.compile(self.train_body)
        self._evaluate = {
            split: self.compile(functools.partial(self._eval_body, of), 1)
            for split, of in data.evals.items()
        }
        self._resident, self._readers = {}, {}
        self._zeros = no_sums(experiment)
        self._eval_zeros = _zeros(experiment.shapes[-1], len(self.seeds))

    def start(self, state: TrainState, sums: Sums | None = None):
        """The carry of a state on the host, every leaf [S, ...], and of its sums, if any."""
        return self._to_devices(state), self._to_devices(sums or self._zeros)

    def state(self, carry) -> TrainState:
        """The state on the host, every leaf a numpy array [S, ...]."""
        return self.fetch(carry[0])

    def take_sums(self, carry):
        """The sums since they were last taken, and the carry with zeros in their place.

        Both stay on the devices.
        """
        state, sums = carry
        return (state, self._to_devices(self._zeros)), sums

    def fetch(self, tree):
        """A carry, or part of it, as numpy arrays [S, ...]; all processes must call it together."""
        tree = jax.device_get(tree)
        if not self.layout.axis and jax.process_count() > 1:
            tree = multihost_utils.process_allgather(tree, tiled=True)
        return jax.tree.map(lambda x: x.reshape(-1, *x.shape[self._seed_axes :]), tree)

    @functools.cached_property
    def _of_ensembles(self):
        e = self.experiment
        return Program(dataclasses.replace(e, seeds=e.seeds[: len(e.seeds) // e.ensemble]))

    def ensembles(self, carry):
        """A program whose seeds are E ensembles, and its carry, [E, S/E, ...].

        The members of ensemble g are g, g + E, ... of the S seeds.
        """
        program, size = self._of_ensembles, self.experiment.ensemble
        state = jax.tree.map(
            lambda x: np.swapaxes(x.reshape(size, -1, *x.shape[1:]), 0, 1), self.state(carry)
        )
        return program, program.start(state)

    def train(self, carry, step: int, steps: int, done: np.ndarray | None = None, compiled=None):
        """Dispatches at most experiment.steps_per_dispatch training steps.

        Returns the carry, and an array to wait for.

        done: bool [S], the seeds that stay as they are, where experiment.stop names a metric.
        compiled: what `compile` returned for a body other than that of training.
        """
        hosts.alive()
        e = self.experiment
        orders = [
            training_order(e.dataset.train, seed, step, steps, e.batch_size) for seed in e.seeds
        ]
        short = e.steps_per_dispatch - steps
        feeds = {
            k: np.stack([np.pad(feed[k], [(0, short), (0, 0)]) for feed, _ in orders])
            for k in orders[0][0]
        }
        bucket = np.pad(orders[0][1], (0, short))  # the same for every seed
        own = self.divide(**feeds)
        if e.stop.metric:
            own["done"] = self._of_seeds(np.zeros(len(self.seeds), bool) if done is None else done)
        stream = self._stream(e.dataset.train, step, steps, e.batch_size, e.steps_per_dispatch)
        return (compiled or self.compiled)(
            carry, own, self.shared(e.dataset.train, steps, bucket, stream)
        )

    def evaluate(self, carry, split: str, stopped: Callable[[], bool] = lambda: False):
        """The carry, and the totals of a whole split on the devices. Each example counts once.

        stopped() is polled before each dispatch; once it is true, evaluation ends early and its
        partial totals must be discarded.
        """
        source, batch_size = self.experiment.dataset.evals[split], self._eval_rows
        feeds, bucket = evaluation_order(source, batch_size, self.experiment.eval_batch_size)
        (state, kept), sums, memory = (
            carry,
            self._to_devices(self._eval_zeros[split]),
            self._memory(),
        )
        length = 1 if source.stream else min(len(bucket), self.experiment.steps_per_dispatch)
        waiting = collections.deque()
        for first in range(0, len(bucket), length):
            hosts.alive()
            if stopped():
                break
            steps = min(length, len(bucket) - first)
            part = {
                k: np.pad(x[first : first + steps], [(0, length - steps), (0, 0)])
                for k, x in feeds.items()
            }
            own = self.divide(
                **{k: np.broadcast_to(x, (len(self.seeds), *x.shape)) for k, x in part.items()}
            )
            stream = self._stream(source, first, steps, batch_size, length)
            shared = self.shared(
                source, steps, np.pad(bucket[first : first + steps], (0, length - steps)), stream
            )
            (state, sums, memory), ticket = self._evaluate[split](
                (state, sums, memory), own, shared
            )
            waiting.append(ticket)
            if len(waiting) > 1:  # at most two dispatches hold their batches
                jax.block_until_ready(waiting.popleft())
        if id(source) in self._readers:
            self._readers[id(source)].close()
        return (state, kept), sums

    def close(self) -> None:
        """Stops the readers of streamed data."""
        for reader in self._readers.values():
            reader.close()
        if "_of_ensembles" in vars(self):
            self._of_ensembles.close()

    @property
    def _eval_rows(self) -> int:
        """Rows of an evaluation batch: eval.batch_size, rounded up to divide over the devices."""
        shares = len(self.layout.devices) if self.layout.axis else 1
        return -(-self.experiment.eval_batch_size // shares) * shares

    @property
    def _seed_axes(self) -> int:
        """Leading axes of a carry's leaves on the devices.

        One for [S, ...], two for [D, S/D, ...] where devices divide the seeds.
        """
        return 1 if self.layout.axis else 2

    def _memory(self) -> dict:
        """Room for what a model that reads a stream keeps from batch to batch.

        On the devices of this process, [D, S or S/D, rows, ...].
        """
        rows, seeds, count = self._eval_rows, len(self.seeds), len(self.layout.devices)
        rows, seeds = (rows // count, seeds) if self.layout.axis else (rows, seeds // count)
        shapes = jax.eval_shape(lambda: step_lib.initial_memory(self.experiment.model, rows))
        own = self.layout.own.stop - self.layout.own.start
        return jax.tree.map(lambda s: np.zeros([own, seeds, *s.shape], s.dtype), shapes)

    def _to_devices(self, tree):
        count = len(self.layout.devices)
        return (
            tree
            if self.layout.axis
            else jax.tree.map(lambda x: x.reshape(count, -1, *x.shape[1:])[self.layout.own], tree)
        )

    def divide(self, **feeds: np.ndarray) -> dict[str, np.ndarray]:
        """The part of feeds [S, K, B] of each device of this process, and its seeds.

        Over D devices: [S, K, B/D] or [S/D, K, B].
        """
        count = len(self.layout.devices)
        if self.layout.axis:
            feeds = {
                k: np.moveaxis(x.reshape(*x.shape[:2], count, -1), 2, 0) for k, x in feeds.items()
            }
        else:
            feeds = {k: x.reshape(count, -1, *x.shape[1:]) for k, x in feeds.items()}
        return dict(
            feeds={k: x[self.layout.own] for k, x in feeds.items()}, seed=self._of_seeds(self.seeds)
        )

    def _of_seeds(self, values: np.ndarray) -> np.ndarray:
        """[S] as each device of this process gets it: [D, S], or [D, S/D]."""
        count = len(self.layout.devices)
        each = (
            np.broadcast_to(values, (count, len(values)))
            if self.layout.axis
            else values.reshape(count, -1)
        )
        return each[self.layout.own]

    def _stream(
        self, source: Source, step: int, steps: int, batch_size: int, length: int
    ) -> dict[str, np.ndarray]:
        """The parts of `steps` streamed batches for the devices of this process.

        [D, K, B/D, ...], or all of each batch, [K, B, ...]; K = length.
        """
        if not source.stream:
            return {}
        own, share = self.layout.own, batch_size // len(self.layout.devices)
        if id(source) not in self._readers:
            rows = (own.start * share, own.stop * share) if self.layout.axis else (0, batch_size)
            training = source is self.experiment.dataset.train
            self._readers[id(source)] = Reader(source, batch_size, rows, training=training)
        batches = self._readers[id(source)].take(step, steps, length)
        if not self.layout.axis:
            return batches
        return {
            k: np.moveaxis(x.reshape(length, -1, share, *x.shape[2:]), 1, 0)
            for k, x in batches.items()
        }

    def shared(
        self,
        source: Source,
        steps: int,
        bucket: np.ndarray,
        stream: dict[str, np.ndarray] | None = None,
    ) -> dict:
        """What every device gets.

        The source's resident arrays (sent once), how far to count, each step's bucket, and the
        device's part of the streamed batches, if there are any.
        """
        if id(source) not in self._resident:
            mesh = jax.sharding.Mesh(self.layout.devices[self.layout.own], AXIS)
            replicated = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
            self._resident[id(source)] = jax.device_put(dict(source.arrays), replicated)
        seeds = len(self.seeds) if self.layout.axis else len(self.seeds) // len(self.layout.devices)
        arrays = self._resident[id(source)]
        return dict(
            arrays=arrays,
            steps=np.int32(steps),
            seeds=np.int32(seeds),
            bucket=bucket,
            stream=stream or {},
        )

    def compile(self, body, of_devices: int = 0):
        """The compiled body on all devices.

        of_devices: how many of the carry's last parts each device has for itself.
        """
        axis = None if self.layout.axis else 0
        parts = (axis, axis) + (0,) * of_devices
        all_seeds = each_seed(body, SEEDS[self.layout.seeds][1])

        shared_axes = dict(
            arrays=None, steps=None, seeds=None, bucket=None, stream=0 if self.layout.axis else None
        )

        def on_one_device(carry, own, shared):
            carry = all_seeds(carry, own, shared)
            return carry, carry[0].step

        return jax.pmap(
            on_one_device,
            axis_name=AXIS,
            in_axes=(parts, 0, shared_axes),
            out_axes=(parts, axis),
            donate_argnums=0,
            devices=self.layout.devices,
        )

    def rows(self, index):
        """The rows of the global batch that this device holds."""
        first = jax.lax.axis_index(AXIS) * index.shape[0] if self.layout.axis else 0
        return first + jnp.arange(index.shape[0])

    def batches(self, source, k, own, shared, key, rows, step):
        """step(batch) on batch `k`, with the lengths of its bucket if the source has buckets."""
        feed = {name: x[k] for name, x in own["feeds"].items()}
        arrays = shared["arrays"] | {name: x[k] for name, x in shared["stream"].items()}

        def of(bucket: int):
            return step(source.batch(arrays, feed, key, rows(feed["index"]), bucket))

        if len(source.makes) == 1:
            return of(0)
        return jax.lax.switch(
            shared["bucket"][k],
            [functools.partial(of, bucket) for bucket in range(len(source.makes))],
        )

    def train_body(self, carry, own, shared):
        """shared["steps"] training steps of one seed on one device, fewer if it is done earlier.

        own: seed [], feeds [K, B/D], done [].
        """
        e = self.experiment

        def one(k, carry):
            state, sums = carry
            key = stream(own["seed"], state.step, DATA)
            step = functools.partial(
                train_step, state, seed=own["seed"], experiment=e, axis=self.layout.axis
            )
            state, new = self.batches(e.dataset.train, k, own, shared, key, self.rows, step)
            return state, merge(sums, new)

        if not e.stop.metric:
            return jax.lax.fori_loop(0, shared["steps"], one, carry)

        def going(at):
            k, (state, _) = at
            done = own["done"] | e.stop.met(state.stop, state.step) if e.stop.last else own["done"]
            return (k < shared["steps"]) & ~done

        _, carry = jax.lax.while_loop(
            going, lambda at: (at[0] + 1, one(*at)), (jnp.zeros([], jnp.int32), carry)
        )
        return carry

    def _eval_body(self, source, carry, own, shared):
        """shared["steps"] batches of `source` for one seed on one device. own: feeds [K, B/D]."""
        state, sums, memory = carry

        def one(k, carry):
            sums, memory = carry
            key = stream(EVALUATION_SEED, 0, DATA)
            step = functools.partial(
                eval_step, state, memory=memory, experiment=self.experiment, axis=self.layout.axis
            )
            new, memory = self.batches(source, k, own, shared, key, lambda index: index, step)
            return merge(sums, new), memory

        return state, *jax.lax.fori_loop(0, shared["steps"], one, (sums, memory))
