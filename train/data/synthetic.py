"""Synthetic tasks: each example is made inside the step from a key of its own; evaluation sets are fixed."""

import jax
import jax.numpy as jnp

from train.data.source import Dataset, Source


def adding(*, T: int = 100, examples: int = 2000) -> Dataset:
    """The adding problem as in the code of Arjovsky et al. 2016: T steps of (value in [0, 1), marker), the target is the
    sum of the two marked values, one marked in each half. Always answering 1 has a mean squared error of 1/6.

    T: length in steps, even, at least 2.  examples: size of the test set. Raises ValueError, one line.
    """
    if T < 2 or T % 2:
        raise ValueError(f"T: {T} must be an even number, at least 2")
    if examples < 1:
        raise ValueError(f"examples: {examples} must be at least 1")

    def example(key):
        values, first, second = (jax.random.fold_in(key, i) for i in range(3))
        value = jax.random.uniform(values, [T])
        half = T // 2
        places = jnp.stack([jax.random.randint(first, [], 0, half), jax.random.randint(second, [], half, T)])
        marker = jnp.zeros([T]).at[places].set(1)
        return dict(
            input=jnp.stack([value, marker], axis=-1),  # [T, 2]
            target=value[places].sum(keepdims=True),
            mask=jnp.ones([T], bool),
        )

    def make(arrays, index, keys):
        return jax.vmap(example)(keys)

    return Dataset(
        inputs="sequence",
        targets="real",
        outputs=1,
        train=Source(None, {}, make),
        evals={"test": Source(examples, {}, make)},
        about=f"adding, generated in the step (T={T})",
        metadata=dict(source="generated"),
    )
