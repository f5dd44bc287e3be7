"""The streams of Elman 1990, "Finding structure in time", Cognitive Science 14.

The task is to predict the next vector at every step.

Each training stream comes from numpy's default_rng([data_seed, 0]). The split "test" is a new
stream of the same kind from [data_seed, 1]. Targets are for logistic outputs. A window of 1 is the
paper's training: no gradient flows back from a step to the previous one. The paper's context
continues from pass to pass; here it starts from its initial value in each pass.
"""

from collections import Counter, defaultdict

import jax.numpy as jnp
import numpy as np

from train.data.source import Dataset, Source


def vector_streams(
    make,
    codes: np.ndarray,
    name: str,
    *,
    least: dict,
    window: int,
    data_seed: int,
    train_as: str = "",
) -> Dataset:
    """The data set of make(rng) -> arrays [n].

    The arrays are "symbol" (a row of `codes`), others for the batch, and, for a stream with words,
    "first": whether a symbol begins a word. These symbols of the test stream are the split
    "onsets"; the others are "inside".

    train_as: if set, the training stream is also a split of this name. least: argument -> its
      value, which must be at least 1.
    """
    for key, value, lowest in [
        *((k, v, 1) for k, v in least.items()),
        ("window", window, 1),
        ("data_seed", data_seed, 0),
    ]:
        if value < lowest:
            raise ValueError(f"{key}: {value} must be at least {lowest}")
    codes = codes.astype(np.float32)

    def batch(arrays, index, keys):
        places = index[:, None] + jnp.arange(window)  # [B, T]
        last = arrays["symbol"].shape[0] - 1
        x, target = (
            jnp.asarray(codes)[arrays["symbol"][jnp.minimum(p, last)]] for p in (places, places + 1)
        )
        others = {
            name: arrays[name][jnp.minimum(places, last)] for name in arrays if name != "symbol"
        }
        return dict(input=x, target=target, mask=places < last) | others

    def source(number, onsets: bool | None = None):
        arrays = make(np.random.default_rng([data_seed, number]))
        first = arrays.pop("first", None)
        if onsets is not None:
            arrays["scored"] = np.roll(first == onsets, -1)  # shifted: by the symbol to predict
        return Source(-(-(len(arrays["symbol"]) - 1) // window), arrays, batch, window=window)

    train = source(0)
    parts = (
        dict(onsets=source(1, True), inside=source(1, False))
        if "first" in make(np.random.default_rng(0))
        else {}
    )
    return Dataset(
        inputs="stream",
        targets="reals",
        outputs=codes.shape[1],
        train=train,
        evals=({train_as: train} if train_as else {}) | {"test": source(1)} | parts,
        about=f"{name}, generated, number {data_seed}",
        metadata=dict(source="generated", data_seed=data_seed),
    )


def temporal_xor(*, triples: int = 1000, window: int = 1, data_seed: int = 0) -> Dataset:
    """Exclusive or in time, p. 186: two random bits and their exclusive or, 1000 times.

    Input and target are [T, 1].

    Only every third bit can be predicted; the least mean squared error is 1/4, 1/4, 0 in turn. The
    paper makes 600 passes. The splits "onsets" and "inside" are the test stream judged by the
    random bits, and by their exclusive or.
    triples, window: at least 1.  data_seed: at least 0. Raises ValueError, one line.
    """

    def make(rng):
        bits = rng.integers(0, 2, [triples, 2], np.int8)
        symbol = np.column_stack([bits, bits[:, 0] ^ bits[:, 1]]).reshape(-1)
        return dict(symbol=symbol, first=np.arange(len(symbol)) % 3 < 2)

    codes = np.array([[0], [1]])
    return vector_streams(
        make, codes, "temporal XOR", least=dict(triples=triples), window=window, data_seed=data_seed
    )


LETTERS = dict(  # table 1: consonant, vowel, interrupted, high, back, voiced
    b=(1, 0, 1, 0, 0, 1),
    d=(1, 0, 1, 1, 0, 1),
    g=(1, 0, 1, 0, 1, 1),
    a=(0, 1, 0, 0, 1, 1),
    i=(0, 1, 0, 1, 0, 1),
    u=(0, 1, 0, 1, 1, 1),
)
SYLLABLES = ("ba", "dii", "guuu")


def elman_letters(*, consonants: int = 1000, window: int = 1, data_seed: int = 0) -> Dataset:
    """Letter sequences, p. 189: random consonants, each followed by its vowels: ba, dii, guuu.

    Input and target are [T, 6].

    There are about 3 letters per consonant. The first letter follows the last. The paper makes 200
    passes. The splits "onsets" and "inside" are the test stream judged by consonants, and by
    vowels.
    consonants, window: at least 1.  data_seed: at least 0. Raises ValueError, one line.
    """

    def make(rng):
        text = "".join(SYLLABLES[k] for k in rng.integers(0, 3, consonants))
        symbol = np.array([list(LETTERS).index(letter) for letter in text + text[0]], np.int8)
        return dict(symbol=symbol, first=symbol < 3)

    codes = np.array(list(LETTERS.values()))
    return vector_streams(
        make,
        codes,
        "ba, dii, guuu",
        least=dict(consonants=consonants),
        window=window,
        data_seed=data_seed,
    )


# the words from "lived" on are ours
LEXICON = "many years ago a boy and girl they lived by the sea play happily children".split()


def elman_words(*, sentences: int = 200, window: int = 1, data_seed: int = 0) -> Dataset:
    """Letters in words, p. 193: sentences of 4 to 9 random words without anything between them.

    Input and target are [T, 5]: a letter's place in the alphabet in binary, a = 00001.

    The paper has 15 words in 200 sentences, 1,270 words and 4,963 letters, and makes 10 passes. It
    prints neither its lexicon nor how the words were chosen. 8 of LEXICON's 15 words are legible in
    it, the others are ours; words and lengths are uniform, about 1,300 words and 5,100 letters.
    The splits "onsets" and "inside" are the test stream judged by the first letters of words, and
    by the others.
    sentences, window: at least 1.  data_seed: at least 0. Raises ValueError, one line.
    """

    def make(rng):
        words = [
            LEXICON[k]
            for n in rng.integers(4, 10, sentences)
            for k in rng.integers(0, len(LEXICON), n)
        ]
        first = np.array([place == 0 for word in words for place in range(len(word))])
        return dict(
            symbol=np.array([ord(letter) - ord("a") for letter in "".join(words)], np.int8),
            first=first,
        )

    codes = np.arange(1, 27)[:, None] >> np.arange(5)[::-1] & 1
    return vector_streams(
        make,
        codes,
        "letters in words",
        least=dict(sentences=sentences),
        window=window,
        data_seed=data_seed,
    )


# table 3; the words after a bar are not printed there, but are leaves of figure 7 that fit in no
# other category
CATEGORIES = dict(
    NOUN_HUM="man woman | boy girl",
    NOUN_ANIM="cat mouse | dog",
    NOUN_INANIM="book rock | car",
    NOUN_AGRESS="dragon monster | lion",
    NOUN_FRAG="glass plate",
    NOUN_FOOD="cookie bread | sandwich",  # the paper prints "break" for bread
    VERB_INTRAN="think sleep | exist",
    VERB_TRAN="see chase | like",
    VERB_AGPAT="move break",
    VERB_PERCEPT="smell see",
    VERB_DESTROY="break smash",
    VERB_EAT="eat",
)
CATEGORIES = {name: tuple(words.replace("| ", "").split()) for name, words in CATEGORIES.items()}
TEMPLATES = [  # table 4: 16 rows, though the text says 15
    tuple(f"{'VERB' if place == 1 else 'NOUN'}_{word}" for place, word in enumerate(row.split()))
    for row in (
        "HUM EAT FOOD",
        "HUM PERCEPT INANIM",
        "HUM DESTROY FRAG",
        "HUM INTRAN",
        "HUM TRAN HUM",
        "HUM AGPAT INANIM",
        "HUM AGPAT",
        "ANIM EAT FOOD",
        "ANIM TRAN ANIM",
        "ANIM AGPAT INANIM",
        "ANIM AGPAT",
        "INANIM AGPAT",
        "AGRESS DESTROY FRAG",
        "AGRESS EAT HUM",
        "AGRESS EAT ANIM",
        "AGRESS EAT FOOD",
    )
]
WORDS = sorted({word for words in CATEGORIES.values() for word in words})  # 29
# table 5: positions of the 31 bits; 20 and 30 are never on
BITS = {word: place + (place >= 20) for place, word in enumerate(WORDS)}


def elman_sentences(*, sentences: int = 10_000, window: int = 1, data_seed: int = 0) -> Dataset:
    """Simple sentences, p. 195: 10,000 sentences of two or three words, without marks between them.

    Input and target are one-hot [T, 31]. There are 29 words, about 27,500 in all (27,534 in the
    paper, which makes 6 passes).

    A sentence is one of the 16 templates, filled with words; templates and words are uniform.
    "likelihood" [T, 31] is the distribution of the next word: its shares after all sentences that
    are the same so far. The split "train_sentences" is the training stream, on which the paper
    judges.
    sentences, window: at least 1.  data_seed: at least 0. Raises ValueError, one line.
    """

    def make(rng):
        choices = [TEMPLATES[k] for k in rng.integers(0, len(TEMPLATES), sentences)]
        corpus = [
            [CATEGORIES[kind][rng.integers(len(CATEGORIES[kind]))] for kind in template]
            for template in choices
        ]
        symbol = np.array([BITS[word] for sentence in corpus for word in sentence], np.int8)
        return dict(symbol=symbol, likelihood=likelihoods(corpus))

    sizes = dict(least=dict(sentences=sentences), window=window, data_seed=data_seed)
    return vector_streams(make, np.eye(31), "simple sentences", **sizes, train_as="train_sentences")


def likelihoods(corpus: list[list[str]]) -> np.ndarray:
    """float32 [words, 31]: at each word, the shares of the next words after the same beginning.

    A beginning is a sentence up to a word. Nothing follows the last word of the corpus; if its
    beginning occurs nowhere else, the row is zero.
    """
    words = [word for sentence in corpus for word in sentence]
    so_far = [tuple(sentence[: t + 1]) for sentence in corpus for t in range(len(sentence))]
    counts = defaultdict(Counter)
    for beginning, following in zip(so_far, words[1:], strict=False):
        counts[beginning][BITS[following]] += 1
    shares = {}
    for beginning, counted in counts.items():
        shares[beginning] = (
            np.bincount(list(counted), list(counted.values()), minlength=31) / counted.total()
        )
    return np.array([shares.get(beginning, np.zeros(31)) for beginning in so_far], np.float32)
