"""Maps the Brown corpus's tags to the 12 universal tags of Petrov, Das & McDonald 2012.

arXiv 1104.2086.
"""

import re

UNIVERSAL = {  # universal tag -> beginnings of tags; the longest match counts
    "ADJ": "ap jj od",
    "ADP": "cs in",
    "ADV": "* ql rb rn wql wrb",
    "CONJ": "cc",
    "DET": "abx at dt pp$ wdt wp$",
    "NOUN": "cd$ nn np nr",
    "NUM": "cd",
    "PRON": "pn pp pp$$ wpo wps",
    "PRT": "abl abn ex rp to uh",
    "VERB": "be do hv md vb",
    "X": "fw nil",
    ".": "' '' ( ) , -- . : ``",
}
BEGINNINGS = {start: name for name, starts in UNIVERSAL.items() for start in starts.split()}


def universal(tag: str) -> str:
    """The universal tag of a Brown corpus tag. Raises ValueError for an unknown tag.

    In a contraction (ppss+bem) the first word counts. The suffix of a title or headline (-tl, -hl,
    -nc) and the mark of a negation (bez*) do not count. A foreign word (fw-) is X.
    """
    first = re.sub(r"(-(tl|hl|nc))+$", "", tag.split("+")[0].lower())
    for length in range(len(first), 0, -1):
        if first[:length] in BEGINNINGS:
            return BEGINNINGS[first[:length]]
    raise ValueError(f"unknown tag {tag!r}")
