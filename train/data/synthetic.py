"""Synthetic tasks: each example is made inside the step from its own key.

Evaluation sets are fixed.
"""

import jax
import jax.numpy as jnp

from train.data.source import Dataset, Source


def generated(
    example, name: str, *, examples: int, inputs="sequence", test=None, **kind
) -> Dataset:
    """The data set of example(key) -> {"input", "target", "mask"} of one example.

    examples: size of the test set.  test: makes the examples of the test set; None for `example`.
    kind: targets, outputs and symbols, as in Dataset.
    """
    if examples < 1:
        raise ValueError(f"examples: {examples} must be at least 1")

    def source(examples, example):
        return Source(examples, {}, lambda arrays, index, keys: jax.vmap(example)(keys))

    return Dataset(
        inputs=inputs,
        **kind,
        train=source(None, example),
        evals={"test": source(examples, test or example)},
        about=f"{name}, generated in the step",
        metadata=dict(source="generated"),
    )


def split(key, count: int) -> list:
    """Independent keys, the first ones the same whatever `count` is."""
    return [jax.random.fold_in(key, i) for i in range(count)]


def adding(*, T: int = 100, examples: int = 2000) -> Dataset:
    """The adding problem as in the code of Arjovsky et al. 2016.

    An example has T steps of (value in [0, 1), marker). The target is the sum of the two marked
    values, one in each half. Always answering 1 has a mean squared error of 1/6.

    T: length in steps, even, at least 2.  examples: size of the test set. Raises ValueError, one
    line.
    """
    if T < 2 or T % 2:
        raise ValueError(f"T: {T} must be an even number, at least 2")

    def example(key):
        values, first, second = split(key, 3)
        value = jax.random.uniform(values, [T])
        half = T // 2
        places = jnp.stack(
            [jax.random.randint(first, [], 0, half), jax.random.randint(second, [], half, T)]
        )
        marker = jnp.zeros([T]).at[places].set(1)
        return dict(
            input=jnp.stack([value, marker], axis=-1),  # [T, 2]
            target=value[places].sum(keepdims=True),
            mask=jnp.ones([T], bool),
        )

    return generated(example, f"adding (T={T})", examples=examples, targets="real", outputs=1)


def copy_memory(*, T: int = 200, examples: int = 2000) -> Dataset:
    """Copy memory as in the code of Arjovsky et al. 2016.

    An example is 10 symbols out of 8, T - 1 blanks, a marker and 10 blanks. The targets are T + 10
    blanks and the 10 symbols. Input [T + 20, 10] one-hot: blank, the symbols, the marker; 9
    classes.

    The error is that of the last 10 steps, 87.5% by chance. Without memory the loss is at best
    10 ln 8 / (T + 20).
    T: at least 1.  examples: size of the test set. Raises ValueError, one line.
    """
    if T < 1:
        raise ValueError(f"T: {T} must be at least 1")

    def example(key):
        symbols = jax.random.randint(key, [10], 1, 9)
        tokens = jnp.concatenate(
            [symbols, jnp.zeros(T - 1, int), jnp.array([9]), jnp.zeros(10, int)]
        )
        return dict(
            input=jax.nn.one_hot(tokens, 10),  # [T + 20, 10]
            target=jnp.concatenate([jnp.zeros(T + 10, int), symbols]),
            mask=jnp.ones([T + 20], bool),
            scored=jnp.arange(T + 20) >= T + 10,
        )

    return generated(
        example, f"copy memory (T={T})", examples=examples, targets="classes", outputs=9
    )


def addition(*, T: int = 100, examples: int = 2000) -> Dataset:
    """Addition as in the code of Pascanu et al. 2013.

    An example has T to 1.1 T steps of (marker, value in [0, 1)). The target is the mean of the two
    marked values, the first in the first tenth, the second before the middle.

    The best constant has a mean squared error of 1/24.  T: at least 10.  examples: size of the test
    set.
    """
    return _two_marked(T, lambda values: values.mean(), f"addition (T={T})", examples)


def multiplication(*, T: int = 100, examples: int = 2000) -> Dataset:
    """Multiplication as in the code of Pascanu et al. 2013.

    Like `addition`, but the target is the product of the two values.

    The best constant has a mean squared error of 7/144.  T: at least 10.  examples: size of the
    test set.
    """
    return _two_marked(T, lambda values: values.prod(), f"multiplication (T={T})", examples)


def _two_marked(T: int, answer, name: str, examples: int) -> Dataset:
    if T < 10:
        raise ValueError(f"T: {T} must be at least 10")
    most = T + max(T // 10, 1) - 1

    def example(key):
        values, lengths, first, second = split(key, 4)
        length = jax.random.randint(lengths, [], T, most + 1)
        tenth, half = length // 10, length // 2
        places = jnp.stack(
            [jax.random.randint(first, [], 0, tenth), jax.random.randint(second, [], tenth, half)]
        )
        value = jax.random.uniform(values, [most])
        marker = jnp.zeros([most]).at[places].set(1)
        mask = jnp.arange(most) < length
        inputs = jnp.where(mask[:, None], jnp.stack([marker, value], axis=-1), 0)
        return dict(input=inputs, target=answer(value[places])[None], mask=mask)

    return generated(example, name, examples=examples, targets="real", outputs=1)


PLACES = {2: (1, 5), 3: (1, 3, 6)}  # bits -> tenths of T that hold an A or B


def temporal_order(*, T: int = 100, bits: int = 2, examples: int = 2000) -> Dataset:
    """Temporal order as in the code of Pascanu et al. 2013.

    An example is T one-hot symbols A, B, c, d, e, f: A or B at `bits` places, each somewhere in its
    tenth of the sequence, and c to f elsewhere. The class says which of them were A and which B:
    2^bits classes.

    T: a multiple of 10.  bits: 2 or 3.  examples: size of the test set. Raises ValueError, one
    line.
    """
    if bits not in PLACES:
        raise ValueError(f"bits: {bits} must be 2 or 3")
    if T < 10 or T % 10:
        raise ValueError(f"T: {T} must be a multiple of 10")

    def example(key):
        others, which, *where = split(key, 2 + bits)
        symbols = jax.random.randint(others, [T], 2, 6)
        said = jax.random.bernoulli(which, 0.5, [bits]).astype(int)
        starts = [tenth * T // 10 for tenth in PLACES[bits]]
        places = jnp.stack(
            [
                jax.random.randint(k, [], start, start + T // 10)
                for k, start in zip(where, starts, strict=True)
            ]
        )
        symbols = symbols.at[places].set(said)
        target = (said * 2 ** jnp.arange(bits)).sum()
        return dict(input=jax.nn.one_hot(symbols, 6), target=target, mask=jnp.ones([T], bool))

    name = f"temporal order (T={T}, {bits} bits)"
    return generated(example, name, examples=examples, targets="class", outputs=2**bits)


def memorisation(*, T: int = 100, examples: int = 2000) -> Dataset:
    """Noiseless memorisation as in the code of Pascanu et al. 2013.

    An example is 10 symbols out of 5, T blanks, a trigger and 9 blanks. The targets are T + 10
    blanks and, from the trigger on, the 10 symbols. Input [T + 20, 7] one-hot: the symbols, the
    blank, the trigger; 6 classes, the last one the blank.

    The error is that of the last 10 steps, 80% by chance. The paper counts a sequence as right if
    all steps are right.
    T: at least 0; 50 to 200 in the paper.  examples: size of the test set. Raises ValueError, one
    line.
    """
    if T < 0:
        raise ValueError(f"T: {T} must be at least 0")

    def example(key):
        symbols = jax.random.randint(key, [10], 0, 5)
        tokens = jnp.concatenate([symbols, jnp.full(T, 5), jnp.array([6]), jnp.full(9, 5)])
        return dict(
            input=jax.nn.one_hot(tokens, 7),  # [T + 20, 7]
            target=jnp.concatenate([jnp.full(T + 10, 5), symbols]),
            mask=jnp.ones([T + 20], bool),
            scored=jnp.arange(T + 20) >= T + 10,
        )

    return generated(
        example, f"memorisation (T={T})", examples=examples, targets="classes", outputs=6
    )


def random_permutation(*, T: int = 100, examples: int = 2000) -> Dataset:
    """Random permutation as in the code of Pascanu et al. 2013.

    An example is T symbols out of 100, one-hot [T, 100]. The first is 0 or 1, and each other one is
    from 2 to 99, drawn with replacement despite the name. The class is the first symbol, of 100.

    T: at least 1.  examples: size of the test set. Raises ValueError, one line.
    """
    if T < 1:
        raise ValueError(f"T: {T} must be at least 1")

    def example(key):
        others, first = split(key, 2)
        which = jax.random.bernoulli(first).astype(int)
        symbols = jax.random.randint(others, [T], 2, 100).at[0].set(which)
        return dict(input=jax.nn.one_hot(symbols, 100), target=which, mask=jnp.ones([T], bool))

    return generated(
        example, f"random permutation (T={T})", examples=examples, targets="class", outputs=100
    )
