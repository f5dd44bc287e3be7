"""TrainState: everything that training changes. Arrays only: no key, no device axis."""

from typing import Any

import jax
from flax import struct

INIT, DATA, DROPOUT = range(3)  # streams of random numbers of one seed


@struct.dataclass
class TrainState:
    """What training changes in a seed. Outside the step each leaf is [S, ...].

    step: int32 [], which stays behind once the seed is done. params, model_state (batch
    statistics), opt_state: pytrees. stop: what stop.Stop keeps, if anything.
    """

    step: jax.Array
    params: Any
    model_state: Any
    opt_state: Any
    stop: Any = ()


def stream(seed: jax.Array, step: jax.Array, name: int) -> jax.Array:
    """The key of one stream at one step.

    It is computed, never carried, so resuming needs no generator state.
    """
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), step), name)
