"""Vocabularies: what they know comes back, what they do not is unknown, and byte pairs are merged
as Sennrich 2016 has it."""

import collections
import itertools
import unicodedata

import pytest

from train.data import texts
from train.data.vocabulary import WORD, Vocabulary
from train.errors import BadInput
from train.tasks import EOS, PAD, UNK

VERSE = "In the beginning God created the heaven, and the earth."


@pytest.mark.parametrize("kind", ["char", "word", "bpe", "symbol"])
def test_what_a_vocabulary_knows_comes_back_as_it_was_through_its_json_too(kind):
    text = VERSE if kind == "char" else VERSE.replace(",", " ,").replace(".", " .")
    vocabulary = Vocabulary.build([text], kind, size=30)
    again = Vocabulary.from_json(vocabulary.to_json())
    assert again == vocabulary and again.encode(text) == vocabulary.encode(text)
    assert vocabulary.decode([1, *vocabulary.encode(text), EOS, 5, PAD]) == text


HINDI = "मैंने हिन्दी में किताबें पढ़ीं"


@pytest.mark.parametrize("kind", ["word", "bpe", "char", "symbol"])
@pytest.mark.parametrize(
    "text", [HINDI, "كِتَابٌ جَمِيلٌ", "за\u0301мок", "👩‍👩‍👧 ✌️", "می‌خواهم co\u00adoperate"]
)
def test_marks_and_joiners_stay_with_their_letter_and_come_back(kind, text):
    vocabulary = Vocabulary.build([text], kind, size=None if kind != "bpe" else 3)
    assert vocabulary.decode(vocabulary.encode(text)) == unicodedata.normalize("NFC", text)
    if kind == "word":
        assert vocabulary.tokens(text) == unicodedata.normalize("NFC", text).split()


@pytest.mark.parametrize("kind", ["word", "bpe", "char", "symbol"])
def test_an_accent_is_the_same_letter_in_one_character_or_in_two(kind):
    composed, apart = (unicodedata.normalize(form, "L'été à Noël") for form in ("NFC", "NFD"))
    of_composed, of_apart = (Vocabulary.build([text], kind) for text in (composed, apart))
    assert of_composed == of_apart and of_apart.encode(apart) == of_apart.encode(composed)
    assert UNK not in of_composed.encode(apart)


def test_byte_pairs_begin_with_whole_letters_and_divide_only_those_that_training_does_not_have():
    vocabulary = Vocabulary.build(["कि की"], "bpe", size=1)
    assert vocabulary.pieces("किकी") == ["कि", "की</w>"]
    assert vocabulary.pieces("ककि") == ["क", "कि</w>"]  # क alone is in no training word
    assert vocabulary.pieces("कु") == ["क", "ु</w>"] and UNK in vocabulary.encode("कु")


def test_a_no_break_space_does_not_part_a_symbol():
    assert Vocabulary.build(["10\u00a0000  km"], "symbol").symbols[4:] == ("10\u00a0000", "km")


def test_the_most_frequent_symbols_stay_ties_in_their_order_and_others_are_unknown():
    vocabulary = Vocabulary.build(["b a c a", "d b a"], "symbol", size=3)
    assert vocabulary.symbols[4:] == ("a", "b", "c") and vocabulary.encode("a d c") == [4, UNK, 6]
    assert Vocabulary.build(["b a c a", "d b a"], "symbol", least=2).symbols[4:] == ("a", "b")


def test_a_texts_own_unk_is_unknown_and_no_second_symbol_of_that_name():
    vocabulary = Vocabulary.build(["the <unk> sat"], "symbol")
    assert (
        vocabulary.encode("the <unk>") == [vocabulary.numbers["the"], UNK] and len(vocabulary) == 6
    )
    assert Vocabulary.from_json(vocabulary.to_json()) == vocabulary


def test_byte_pairs_are_merged_in_the_order_of_sennrichs_example():
    words = ["low"] * 5 + ["lower"] * 2 + ["newest"] * 6 + ["widest"] * 3
    vocabulary = Vocabulary.build(words, "bpe", size=4)
    assert vocabulary.merges[:2] == (("e", "s"), ("es", "t</w>"))  # 9 each
    assert vocabulary.pieces("lowest")[-1] == "est</w>"
    assert vocabulary.decode(vocabulary.encode("newest widest low")) == "newest widest low"
    assert UNK in vocabulary.encode("zzz")


def test_counts_of_pairs_that_are_kept_up_to_date_give_the_merges_of_counting_anew():
    lines, _ = texts.load("kjv")
    found = Vocabulary.build(lines[:300], "bpe", size=60).merges
    times = collections.Counter(token for line in lines[:300] for token in WORD.findall(line))
    parts = {word: [*word[:-1], word[-1] + "</w>"] for word in times}
    for merge in found:
        pairs = collections.Counter()
        for word, pieces in parts.items():
            for pair in itertools.pairwise(pieces):
                pairs[pair] += times[word]
        assert merge == min(pairs, key=lambda pair: (-pairs[pair], pair))
        for word, pieces in parts.items():
            i = 0
            while i < len(pieces) - 1:
                if (pieces[i], pieces[i + 1]) == merge:
                    pieces[i : i + 2] = ["".join(merge)]
                i += 1
            parts[word] = pieces


def test_unknown_pieces_are_named_once_each_without_the_end_of_a_word_and_ten_at_most():
    vocabulary = Vocabulary.build(["aa ab ba"], "bpe", size=1)
    assert vocabulary.lacking(["ba", "ab"]) == ""
    assert (
        vocabulary.lacking(["azy", "yz"])
        == "the vocabulary does not have 'z', 'y'; the network reads <unk> there"
    )
    assert "'l' and 2 more; " in vocabulary.lacking(["cdefghijklmn"])


def test_a_new_word_of_known_characters_has_only_known_pieces_whatever_its_merges_stop_at():
    vocabulary = Vocabulary.build(
        ["low"] * 5 + ["lower"] * 2 + ["newest"] * 6 + ["widest"] * 3, "bpe", size=12
    )
    for word in ("dil", "ester", "nee", "wis", "low", "ro", "es"):
        assert (
            UNK not in vocabulary.encode(word)
            and vocabulary.decode(vocabulary.encode(word)) == word
        )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"kind": "x", "symbols": [], "merges": []}',
        '{"kind": "char", "symbols": ["a"]}',
    ],
)
def test_a_damaged_vocabulary_is_refused_in_one_line(text):
    with pytest.raises(BadInput, match="^the vocabulary is damaged") as error:
        Vocabulary.from_json(text)
    assert "\n" not in str(error.value)
