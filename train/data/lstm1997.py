"""The artificial tasks of Hochreiter & Schmidhuber 1997, experiments 2 to 6.

Experiment 1 is data.reber. Targets are real, for logistic outputs, as in the paper. The paper
judges by the largest absolute error: task regress with `tolerance`. Inputs are zero, and masked,
after the end of a sequence. Test sets are as large as the paper's.
"""

import math

import jax
import jax.numpy as jnp

from train.data.source import Dataset
from train.data.synthetic import generated, split


def noise_free_long_lag(
    *, variant: str = "a", p: int = 100, q: int = 50, examples: int = 10_000
) -> Dataset:
    """Experiment 2, section 5.2: predict a symbol that depends on one of the first two symbols.

    The symbol to predict at the end is x or y, equally likely. It was the first symbol (variants
    "a" and "b") or the second ("c").

    variant:
    "a", no local regularities as distractors: y a_1 ... a_{p-1} y, or the same with x. The task is
      the next symbol at every step: input and target [p, p + 1], one-hot a_1 ... a_{p-1} x y. A
      sequence is right if all errors are within 0.25.
    "b", as "a", but the p - 1 symbols between are drawn from a_1 ... a_{p-1}. Only the last step
      can be predicted, which "scored" marks. A sequence is right if that error is within 0.25.
    "c": b, x or y, q of the distractors a_1 ... a_p, then with probability 1/10 the trigger e,
      otherwise another distractor, and so on. Input int32 [q + 3 + TAIL], numbers of the p + 4
      symbols a_1 ... a_p e b x y, one-hot in the paper. Target [2] at e: 1 for the output of the
      second symbol, x or y, and 0 for the other. Right is within 0.2. Paper: (q, p) = (50, 50),
      (100, 100), ..., (1000, 50).
    p: at least 2.  q: at least 1, for variant "c" only.  examples: size of the test set.

    Raises ValueError, one line.
    """
    if variant not in ("a", "b", "c"):
        raise ValueError(f"variant: unknown {variant!r}; choose from a, b, c")
    if p < 2 or q < 1:
        raise ValueError(f"p: {p} must be at least 2" if p < 2 else f"q: {q} must be at least 1")
    if variant == "c":
        example = _triggered(p, q)
        kind = dict(inputs="tokens", symbols=p + 4, targets="real", outputs=2)
        return generated(example, f"experiment 2c (p={p}, q={q})", examples=examples, **kind)

    def example(key):
        which, between = split(key, 2)
        symbol = p - 1 + jax.random.bernoulli(which).astype(int)  # x or y
        middle = (
            jnp.arange(p - 1) if variant == "a" else jax.random.randint(between, [p - 1], 0, p - 1)
        )
        # [p + 1, p + 1]
        string = jax.nn.one_hot(jnp.concatenate([symbol[None], middle, symbol[None]]), p + 1)
        scored = jnp.arange(p) >= (p - 1 if variant == "b" else 0)
        return dict(input=string[:-1], target=string[1:], mask=jnp.ones([p], bool), scored=scored)

    return generated(
        example, f"experiment 2{variant} (p={p})", examples=examples, targets="reals", outputs=p + 1
    )


# most distractors after the q; longer strings, 0.9^101 = 2.4e-5 of all, are drawn again
TAIL = 100


def _triggered(p: int, q: int):
    most = q + 3 + TAIL

    def example(key):
        which, distractors, lengths = split(key, 3)
        chance = jax.random.uniform(lengths)  # n more distractors: 0.9^n / 10, up to TAIL
        tail = jnp.floor(jnp.log1p(-chance * (1 - 0.9 ** (TAIL + 1))) / math.log(0.9)).astype(int)
        place, last = jnp.arange(most), q + 2 + jnp.clip(tail, 0, TAIL)
        y = jax.random.bernoulli(which).astype(int)
        symbols = (
            jax.random.randint(distractors, [most], 0, p).at[:2].set(jnp.stack([p + 1, p + 2 + y]))
        )
        symbols = jnp.where(place == last, p, symbols)
        mask = place <= last
        return dict(input=jnp.where(mask, symbols, 0), target=jax.nn.one_hot(y, 2), mask=mask)

    return example


def two_sequence(*, variant: str = "a", T: int = 100, N: int = 3, examples: int = 2560) -> Dataset:
    """Experiment 3, section 5.3: the class [1] of T to 1.1 T real inputs [T, 1].

    The first N inputs are 1 in class 1 and -1 in class 2; the others are Gaussian noise of variance
    0.2. After Bengio et al. 1994.

    variant: "a": target 1 for class 1, 0 for class 2.  "b": the noise is also added to the first N
      inputs.  "c": target 0.2 for class 1, 0.8 for class 2, with Gaussian noise of variance 0.1 in
      training and without noise in the test.
    Right is within 0.2 of the target; in "c" within 0.1.  T: at least 1.  N: 1 to T.  examples:
    size of the test set.
    """
    if variant not in ("a", "b", "c"):
        raise ValueError(f"variant: unknown {variant!r}; choose from a, b, c")
    _at_least("T", T, 1)
    if not 1 <= N <= T:
        raise ValueError(f"N: {N} must be from 1 to T={T}")

    def example(key, noisy_target):
        classes, lengths, noises, targets = split(key, 4)
        mask = _lengths(lengths, T)
        first = jax.random.bernoulli(classes)  # class 1
        noise = math.sqrt(0.2) * jax.random.normal(noises, mask.shape)
        told = jnp.where(first, 1.0, -1.0) + noise * (variant == "b")
        x = jnp.where(jnp.arange(mask.size) < N, told, noise)
        target = jnp.where(first, *((0.2, 0.8) if variant == "c" else (1.0, 0.0)))
        target += math.sqrt(0.1) * jax.random.normal(targets) * noisy_target
        return dict(input=_until(mask, x[:, None]), target=target[None], mask=mask)

    return generated(
        lambda key: example(key, variant == "c"),
        f"experiment 3{variant} (T={T}, N={N})",
        examples=examples,
        targets="real",
        outputs=1,
        test=lambda key: example(key, False),
    )


def lstm_adding(*, T: int = 100, examples: int = 2560) -> Dataset:
    """Experiment 4, section 5.4: add two marked values in T to 1.1 T pairs.

    A pair is (value in [-1, 1), marker); the target [1] is 0.5 + (X1 + X2) / 4 for the values X1,
    X2 with marker 1.
    X1 is in one of the first 10 pairs, X2 in one of the first T/2 - 1 others. The first and the
    last pair have marker -1. If X1 or X2 falls on the first pair, it is 0 (the paper says so for
    X1). Right is within 0.04. The best constant has a mean squared error of 0.0392, or 1/24 =
    0.0417 if neither falls there.

    T: even, at least 20; 100, 500, 1000 in the paper.  examples: size of the test set.
    Raises ValueError, one line.
    """
    _check_marked(T)

    def example(key):
        x, X, mask = _marked(key, T, low=-1.0, instead=0.0)
        return dict(input=x, target=0.5 + X.sum(keepdims=True) / 4, mask=mask)

    return generated(example, f"experiment 4 (T={T})", examples=examples, targets="real", outputs=1)


def lstm_multiplication(*, T: int = 100, examples: int = 2560) -> Dataset:
    """Experiment 5, section 5.5: as `lstm_adding` with values in [0, 1) and the target [1] X1 X2.

    A value that falls on the first pair is 1. The best constant has a mean squared error of 0.059,
    or 7/144 = 0.0486 if neither falls there.
    T, examples: as there.
    """
    _check_marked(T)

    def example(key):
        x, X, mask = _marked(key, T, low=0.0, instead=1.0)
        return dict(input=x, target=X.prod(keepdims=True), mask=mask)

    return generated(example, f"experiment 5 (T={T})", examples=examples, targets="real", outputs=1)


def _marked(key, T: int, *, low: float, instead: float):
    """Pairs [1.1 T, 2], X1 and X2 [2], mask [1.1 T]."""
    values, lengths, first, second = split(key, 4)
    mask = _lengths(lengths, T)
    one = jax.random.randint(first, [], 0, 10)
    other = jax.random.randint(second, [], 0, T // 2 - 1)
    # X2 is at latest pair T/2: a lag of at least T/2 steps to the end
    places = jnp.stack([one, other + (other >= one)])
    value = jax.random.uniform(values, mask.shape, minval=low)
    ends = jnp.stack([0, mask.sum() - 1])
    marker = jnp.zeros(mask.shape).at[places].set(1).at[ends].set(-1)
    X = jnp.where(places == 0, instead, value[places])
    return _until(mask, jnp.stack([value, marker], axis=-1)), X, mask


# bits -> the ranges of their positions; the first step is 1
TIMES = {2: ((10, 20), (50, 60)), 3: ((10, 20), (33, 43), (66, 76))}


def lstm_temporal_order(*, bits: int = 2, examples: int = 2560) -> Dataset:
    """Experiment 6, section 5.6: the order of X and Y in a sequence of 100 to 110 symbols.

    The symbols are a b c d X Y E B, one-hot. E comes first and B last. 2 (6a) or 3 (6b) places hold
    X or Y, the others a to d. The class, one-hot [2^bits], is their order: XX, XY, YX, YY; XXX,
    XXY, ..., YYY.

    Right is within 0.3 at every output.  bits: 2 or 3.  examples: size of the test set.
    Raises ValueError, one line.
    """
    if bits not in TIMES:
        raise ValueError(f"bits: {bits} must be 2 or 3")
    low, high = jnp.array(TIMES[bits]).T

    def example(key):
        others, lengths, which, when = split(key, 4)
        mask = _lengths(lengths, 100)
        said = jax.random.bernoulli(which, 0.5, [bits]).astype(int)  # 1: Y
        places = jax.random.randint(when, [bits], low - 1, high)
        string = jax.random.randint(others, mask.shape, 0, 4).at[places].set(4 + said)
        string = string.at[0].set(6).at[mask.sum() - 1].set(7)
        answer = (said * 2 ** jnp.arange(bits)[::-1]).sum()
        return dict(
            input=_until(mask, jax.nn.one_hot(string, 8)),
            target=jax.nn.one_hot(answer, 2**bits),
            mask=mask,
        )

    name = f"experiment 6{'ab'[bits - 2]}"
    return generated(example, name, examples=examples, targets="real", outputs=2**bits)


def _lengths(key, T: int):
    """The mask [1.1 T] of a length drawn from T to 1.1 T inclusive."""
    most = T + T // 10
    return jnp.arange(most) < jax.random.randint(key, [], T, most + 1)


def _until(mask, x):
    return jnp.where(mask[:, None], x, 0)


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise ValueError(f"{name}: {value} must be at least {least}")


def _check_marked(T: int) -> None:
    if T < 20 or T % 2:
        raise ValueError(f"T: {T} must be an even number, at least 20")
