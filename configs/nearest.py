"""What a mistyped word was meant to be; a far guess is worse than none."""

import difflib
import re

# where several sections have a key of that name, it is likely that of the first of these
SECTIONS = ("data", "optim", "model", "schedule", "task", "eval", "log", "checkpoint")
LINE = 1000  # characters of the longest list that is shown


def nearest(word: str, words, otherwise: str = "") -> str:
    """'did you mean ...?' for a mistyped word, else the words there are, for a key of a section
    those of the section.

    otherwise: what is said instead of a list that is longer than LINE.
    """
    words = sorted(words)
    meant = _meant(word, words)
    if meant:
        return f"did you mean {' or '.join(map(repr, meant))}?"
    section = word[: word.rfind(".") + 1] or f"{word}."
    listed = ", ".join([w for w in words if w.startswith(section)] or words)
    return otherwise if otherwise and len(listed) > LINE else f"choose from {listed}"


def _meant(word: str, words: list[str]) -> list[str]:
    names = {}  # without the section or the folder -> all that end with it, likely ones first
    for w in sorted(words, key=_likely):
        names.setdefault(_name(w), []).append(w)
    name = _name(word)
    if name == word and name in names:
        return names[name][:3]
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.8)
    if close:
        return close
    if name not in names:
        begun = [n for n in names if _begins(n, name) or _begins(name, n)]
        close = difflib.get_close_matches(name, names, n=1, cutoff=0.8)
        name = close[0] if close else min(begun, key=len, default=None)
    return names.get(name, [])[:3]


def _name(word: str) -> str:
    """optim.lr -> lr, configs/copy_memory.py -> copy_memory."""
    return re.split("[./]", word.removesuffix(".py"))[-1]


def _begins(word: str, longer: str) -> bool:
    return longer.startswith(word) and 2 * len(word) >= len(longer)


def _likely(word: str) -> int:
    section = word.split(".")[0]
    return SECTIONS.index(section) if section in SECTIONS else len(SECTIONS)
