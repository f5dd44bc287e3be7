"""Vocabularies: text to numbers and back. Text is normalised to Unicode's NFC first."""

import collections
import dataclasses
import functools
import heapq
import itertools
import json
import re
import unicodedata
from collections.abc import Iterable

import regex

from train import documents
from train.errors import BadInput
from train.tasks import BOS, EOS, PAD, UNK

SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>")  # numbers PAD, BOS, EOS, UNK
NAMED = 10  # the most unknown tokens that a warning names
END = "</w>"  # ends a word's last piece (byte-pair encoding)
JOINED = r"\p{M}\p{Cf}"  # accents, vowel signs and joiners: parts of a letter
LETTER = rf"[\w\p{{N}}{JOINED}]"
# a word with its apostrophes, or one other character with its accents
WORD = regex.compile(rf"[{JOINED}]*[\w\p{{N}}]{LETTER}*(?:['’]{LETTER}+)*|(?=\S)\X")
SPACED = re.compile(r"[^ \t\r\n]+")  # a no-break space does not separate
CLUSTER = regex.compile(r"\X")  # a letter with its marks, as a reader counts letters

KINDS = dict(  # name -> (text to tokens, tokens to text)
    char=(list, "".join),
    symbol=(SPACED.findall, " ".join),  # separated by spaces, as phones and tags are
    word=(WORD.findall, " ".join),
    bpe=(WORD.findall, " ".join),  # before words are divided
)


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """The meaning of each number.

    kind: one of KINDS; symbols: the first four are SPECIAL; merges: only for kind "bpe", pairs of
    pieces in the order in which they were learned (Sennrich, Haddow & Birch 2016, section 3.2).
    """

    kind: str
    symbols: tuple[str, ...]
    merges: tuple[tuple[str, str], ...] = ()

    @classmethod
    def build(
        cls, lines: Iterable[str], kind: str, *, size: int | None = None, least: int = 1
    ) -> "Vocabulary":
        """The `size` most frequent tokens of `lines` that occur at least `least` times.

        Ties are in alphabetical order.

        For kind "bpe", size is the number of merges, 8,000 if None. It starts from letters with
        their marks; each merge makes the most frequent pair a piece. Symbols are every letter and
        character, within a word and at its end, and every merged pair. Raises ValueError, one line.
        """
        if kind not in KINDS:
            raise ValueError(f"vocabulary: unknown {kind!r}; choose from {', '.join(KINDS)}")
        if size is not None and size < 1:
            raise ValueError(f"size: {size} must be at least 1")
        counts = collections.Counter(
            token for line in lines for token in KINDS[kind][0](normalised(line))
        )
        merges = ()
        if kind == "bpe":
            merges, counts = _learn(counts, size or 8000)
            # new words may contain a piece that no longer stands alone in the training words
            least, size = 0, None
        # such as a text's own <unk>
        known = (token for token in counts if counts[token] >= least and token not in SPECIAL)
        frequent = sorted(known, key=lambda token: (-counts[token], token))
        return cls(kind, SPECIAL + tuple(frequent[:size]), merges)

    def __len__(self) -> int:
        return len(self.symbols)

    @functools.cached_property
    def numbers(self) -> dict[str, int]:
        return {symbol: number for number, symbol in enumerate(self.symbols)}

    @functools.cached_property
    def _ranks(self) -> dict[tuple[str, str], int]:
        return {pair: rank for rank, pair in enumerate(self.merges)}

    def encode(self, text: str) -> list[int]:
        """The numbers of a text's tokens, UNK for unknown ones; neither BOS nor EOS."""
        return [self.numbers.get(token, UNK) for token in self.tokens(text)]

    def tokens(self, text: str) -> list[str]:
        """The tokens of a text, known or not."""
        tokens = KINDS[self.kind][0](normalised(text))
        return (
            [piece for word in tokens for piece in self.pieces(word)]
            if self.kind == "bpe"
            else tokens
        )

    def lacking(self, texts: Iterable[str]) -> str:
        """One line that names the unknown tokens of some texts; "" if all are known."""
        unknown = dict.fromkeys(
            token.removesuffix(END)
            for text in texts
            for token in self.tokens(text)
            if token not in self.numbers
        )
        more = f" and {len(unknown) - NAMED:,} more" if len(unknown) > NAMED else ""
        names = ", ".join(map(repr, list(unknown)[:NAMED]))
        return (
            f"the vocabulary does not have {names}{more}; the network reads {SPECIAL[UNK]} there"
            if unknown
            else ""
        )

    def decode(self, numbers: Iterable[int]) -> str:
        """The text up to EOS, without PAD and BOS.

        There is one space between words and marks, whatever the original had there.
        """
        tokens = []
        for number in numbers:
            if number == EOS:
                break
            if number not in (PAD, BOS):
                tokens.append(self.symbols[number])
        if self.kind == "bpe":
            return "".join(tokens).replace(END, " ").strip()
        return KINDS[self.kind][1](tokens)

    def pieces(self, word: str) -> list[str]:
        """The word's pieces; pairs that were learned first are merged first."""
        parts = [part for letter in _letters(word) for part in self._divided(letter)]
        while len(parts) > 1:
            pairs = itertools.pairwise(parts)
            rank, first = min(
                (self._ranks.get(pair, len(self.merges)), i) for i, pair in enumerate(pairs)
            )
            if rank == len(self.merges):
                break
            parts[first : first + 2] = ["".join(parts[first : first + 2])]
        return parts

    def _divided(self, letter: str) -> list[str]:
        """The letter, or its characters if training never had them together."""
        if letter in self.numbers:
            return [letter]
        *characters, last = letter.removesuffix(END)
        return [*characters, last + END if letter.endswith(END) else last]

    def to_json(self) -> str:
        document = dict(kind=self.kind, symbols=self.symbols, merges=self.merges)
        return json.dumps(document, ensure_ascii=False, indent=0) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Vocabulary":
        """Raises BadInput, one line, if the text is not a vocabulary."""
        try:
            document = documents.parse(text)
            kind, symbols = document["kind"], tuple(document["symbols"])
            if kind not in KINDS or symbols[:4] != SPECIAL or len(set(symbols)) < len(symbols):
                raise ValueError("kind or symbols are not those of a vocabulary")
            merges = tuple((first, second) for first, second in document["merges"])
            if not all(isinstance(text, str) for text in itertools.chain(symbols, *merges)):
                raise ValueError("symbols and merges must be text")
            return cls(kind, symbols, merges)
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(f"the vocabulary is damaged ({type(error).__name__}: {error})") from None


def normalised(text: str) -> str:
    """The text in Unicode's form NFC, in which an accented letter has only one form."""
    return unicodedata.normalize("NFC", text)


def _letters(word: str) -> list[str]:
    """The letters of a word, each with its marks, the last one with END."""
    letters = list(word) if word.isascii() else CLUSTER.findall(word)
    letters[-1] += END
    return letters


def _learn(words: collections.Counter, merges: int):
    """The first `merges` merges, and how often each piece occurs after them.

    Counts of pairs are updated incrementally.
    """
    parts = {word: _letters(word) for word in words}
    counts, places = collections.Counter(), collections.defaultdict(set)
    for word, pieces in parts.items():
        for pair in itertools.pairwise(pieces):
            counts[pair] += words[word]
            places[pair].add(word)
    heap = [(-count, pair) for pair, count in counts.items()]
    heapq.heapify(heap)
    learned = []
    while heap and len(learned) < merges:
        count, pair = heapq.heappop(heap)
        if count == 0 or counts[pair] != -count:  # an outdated count
            continue
        learned.append(pair)
        changed = set()
        for word in places.pop(pair):
            before = parts[word]
            after = []
            for piece in before:
                if after and (after[-1], piece) == pair:
                    after[-1] += piece
                else:
                    after.append(piece)
            if len(after) == len(before):
                continue
            for old in itertools.pairwise(before):
                counts[old] -= words[word]
                changed.add(old)
            for new in itertools.pairwise(after):
                counts[new] += words[word]
                places[new].add(word)
                changed.add(new)
            parts[word] = after
        for other in sorted(changed - {pair}):
            heapq.heappush(heap, (-counts[other], other))
        counts[pair] = 0
    pieces = collections.Counter()
    for word, of_word in parts.items():
        for piece in of_word:
            pieces[piece] += words[word]
    # known within a word and at its end, even if training has them in only one of these
    letters = {letter.removesuffix(END) for word in words for letter in _letters(word)}
    single = letters.union(*words)
    for piece in [
        *single,
        *(letter + END for letter in single),
        *map("".join, learned),
    ]:
        pieces[piece] += 0
    return tuple(learned), pieces
