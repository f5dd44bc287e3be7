"""TrainState: everything that training changes. Arrays only: no key, no device axis."""

from typing import Any

import jax
from flax import struct

INIT, DATA, DROPOUT = range(3)  # streams of random numbers of one seed


@struct.dataclass
class TrainState:
    """step: int32 [], where a seed that is done stays behind the others; params, model_state (batch
    statistics), opt_state: pytrees; stop: what stop.Stop keeps, if anything. Outside the step each
    leaf is [S, ...]."""

    step: jax.Array
    params: Any
    model_state: Any
    opt_state: Any
    stop: Any = ()


def stream(seed: jax.Array, step: jax.Array, name: int) -> jax.Array:
    """The key of one stream at one step: addressed, never carried, so that resuming needs no
    generator state."""
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), step), name)
