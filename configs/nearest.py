"""The nearest words to a mistyped one; a far guess is worse than none."""

import difflib
import re
from collections.abc import Iterable

# where several sections have a key of that name, the first of these is the likeliest
SECTIONS = ("data", "optim", "model", "schedule", "task", "eval", "log", "checkpoint")
LINE = 600  # characters of the longest list that is shown


def nearest(word: str, words, otherwise: str = "") -> str:
    """'did you mean ...?' for a mistyped word, else all words; for a key, those of its section.

    otherwise: the text instead of a list that is longer than LINE.
    """
    words = sorted(words)
    meant = _meant(word, words)
    if meant:
        return f"did you mean {' or '.join(map(repr, meant))}?"
    section = word[: word.rfind(".") + 1] or f"{word}."
    listed = ", ".join([w for w in words if w.startswith(section)] or words)
    return otherwise if otherwise and len(listed) > LINE else f"choose from {listed}"


def _meant(word: str, words: list[str]) -> list[str]:
    *section, name = _parts(word)
    here, anywhere = {}, {}  # the last part -> all words that end with it, likely ones first
    for w in sorted(words, key=_likely):
        *other, last = _parts(w)
        anywhere.setdefault(last, []).append(w)
        if other == section:
            here[last] = [w]
    if name in anywhere:
        mistyped = [w for w in anywhere[name] if _close("".join(section[-1:]), _parts(w)[-2:-1])]
        return (mistyped or anywhere[name])[:3]
    for names in (here, anywhere):
        begun = [n for n in names if _begins(n, name) or _begins(name, n)]
        if close := _close(name, names) or min(begun, key=len, default=None):
            return names[close][:3]
    return []


def _close(word: str, words: Iterable[str]) -> str | None:
    cutoff = 0.8 if len(word) > 2 else 0.66  # TT for T
    return next(iter(difflib.get_close_matches(word, list(words), n=1, cutoff=cutoff)), None)


def _begins(word: str, longer: str) -> bool:
    return longer.startswith(word) and 2 * len(word) >= len(longer)


def _parts(word: str) -> list[str]:
    """optim.lr, configs/load.py, --workdir -> [optim, lr], [configs, load], [workdir]."""
    return re.split("[./]", word.lstrip("-").removesuffix(".py"))


def _likely(word: str) -> int:
    section = "".join(_parts(word)[-2:-1])
    if section in ("", "config"):
        return -1
    return SECTIONS.index(section) if section in SECTIONS else len(SECTIONS)
