"""The embedded Reber grammar of Hochreiter & Schmidhuber 1997, experiment 1.

It is from Reber 1967 and Cleeremans et al. 1989. Gers, Schmidhuber & Cummins 2000 use it without
ends.
"""

import jax
import numpy as np

from train.data.elman1990 import vector_streams
from train.data.source import Dataset, Source

SYMBOLS = "BTPSXVE"
GRAMMAR = {  # state -> (symbol, next state), equally likely; figure 3
    0: (("B", 1),),
    1: (("T", 2), ("P", 3)),
    2: (("S", 2), ("X", 4)),
    3: (("T", 3), ("V", 5)),
    4: (("X", 3), ("S", 6)),
    5: (("P", 4), ("V", 6)),
    6: (("E", None),),
}


def reber(rng: np.random.Generator) -> list[tuple[str, str]]:
    """A Reber string from B to E: for each symbol (the symbol, the symbols legal in its place)."""
    state, string = 0, []
    while state is not None:
        ways = GRAMMAR[state]
        symbol, state = ways[rng.integers(len(ways))]
        string.append((symbol, "".join(s for s, _ in ways)))
    return string


def embedded(rng: np.random.Generator) -> list[tuple[str, str]]:
    """Like `reber`, but for an embedded string (figure 4), of at least 9 symbols.

    It is B, T or P, a Reber string, the same T or P, E.
    """
    kind = "TP"[rng.integers(2)]
    return [("B", "B"), (kind, "TP"), *reber(rng), (kind, kind), ("E", "E")]


def strings(examples: int, rng: np.random.Generator) -> tuple[list, list]:
    """`examples` random strings for training, and as many for testing that are not among these.

    A string may occur more than once in a set.
    """
    train = [embedded(rng) for _ in range(examples)]
    known, test = {spelt(s) for s in train}, []
    while len(test) < examples:
        string = embedded(rng)
        if spelt(string) not in known:
            test.append(string)
    return train, test


def spelt(string: list[tuple[str, str]]) -> str:
    return "".join(symbol for symbol, _ in string)


def embedded_reber(*, strings_per_set: int = 256, data_seed: int = 0) -> Dataset:
    """Predicting the next symbol of embedded Reber strings.

    Hochreiter & Schmidhuber 1997, section 5.1.

    Input and target are float32 [T, 7], one-hot in the order of SYMBOLS; at each symbol but the
    last the target is the next one. "legal" bool [T, 7] marks the one or two symbols that may come
    next. A string is right if these always score above the others. Success means that no training
    string and no test string is wrong: the split "strings" has both.

    strings_per_set: the number of training strings, and of test strings, none of which is trained
      on; 256 each in the paper, at most 2000.
    data_seed: chooses the strings; the paper has 3 pairs of sets.
    Raises ValueError, one line.
    The paper draws each exemplar independently from the training strings; here an epoch takes each
    once, in random order.
    """
    if not 1 <= strings_per_set <= 2000:  # with more, few likely strings are left for testing
        raise ValueError(f"strings_per_set: {strings_per_set} is outside [1, 2000]")
    if data_seed < 0:
        raise ValueError(f"data_seed: {data_seed} must be at least 0")
    train, test = strings(strings_per_set, np.random.default_rng(data_seed))
    longest = max(map(len, train + test))

    def make(arrays, index, keys):
        symbol, length = arrays["symbol"][index], arrays["length"][index]
        one_hot = jax.nn.one_hot(symbol, 7)  # [B, longest, 7], zero after the end
        mask = np.arange(longest - 1) < length[:, None] - 1
        return dict(
            input=one_hot[:, :-1],
            target=one_hot[:, 1:],
            legal=arrays["legal"][index][:, 1:],
            mask=mask,
        )

    def source(strings):
        symbol, legal = (
            np.full([len(strings), longest], -1, np.int8),
            np.zeros([len(strings), longest, 7], bool),
        )
        for row, string in enumerate(strings):
            for t, (s, ways) in enumerate(string):
                symbol[row, t] = SYMBOLS.index(s)
                legal[row, t] = [s in ways for s in SYMBOLS]
        return Source(
            len(strings),
            dict(symbol=symbol, legal=legal, length=np.array(list(map(len, strings)), np.int32)),
            make,
        )

    return Dataset(
        inputs="sequence",
        targets="reals",
        outputs=7,
        train=source(train),
        evals=dict(strings=source(train + test), test=source(test)),
        about=f"embedded Reber grammar, {strings_per_set} strings to train on and to test with, "
        f"number {data_seed}",
        metadata=dict(source="generated", data_seed=data_seed),
    )


def continual_reber(*, examples: int = 10_000, window: int = 30, data_seed: int = 0) -> Dataset:
    """Predicting the next symbol of a stream of embedded Reber strings.

    Gers, Schmidhuber & Cummins 2000. The strings follow each other without a mark or a reset. It is
    a stream as in elman1990.vector_streams, with "legal" as in `embedded_reber`.

    examples: strings in the training stream, and in the test stream, which is different; their mean
      length is 12.
    window: symbols per training step; a window is wrong if any of its symbols is wrong.
    data_seed: at least 0.
    Raises ValueError, one line.
    The paper's streams are endless, and start again at the first mistake.
    """

    def make(rng):
        symbols, ways = zip(*(pair for _ in range(examples) for pair in embedded(rng)), strict=True)
        legal = np.array([[s in of for s in SYMBOLS] for of in ways])
        return dict(
            symbol=np.array([SYMBOLS.index(s) for s in symbols]), legal=np.roll(legal, -1, axis=0)
        )

    sizes = dict(least=dict(examples=examples), window=window, data_seed=data_seed)
    return vector_streams(make, np.eye(7), "embedded Reber strings without end", **sizes)
