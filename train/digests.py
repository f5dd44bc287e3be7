"""Digests of what JSON files hold: a file changed after it was written is noticed on reading."""

import hashlib
import json


def sealed(document: dict) -> dict:
    """The document, plain JSON, with its own digest under "seal"."""
    text = json.dumps(document, sort_keys=True)
    return document | {"seal": hashlib.sha256(text.encode()).hexdigest()}


def opened(document: dict) -> dict:
    """The document without its seal, if any. Raises ValueError if the seal does not match."""
    inside = {key: value for key, value in document.items() if key != "seal"}
    if "seal" in document and sealed(inside) != document:
        raise ValueError("its contents do not match its digest")
    return inside


class Lines:
    """The digest of lines in their order."""

    def __init__(self, lines=()):
        self._count, self._hash = 0, hashlib.sha256()
        for line in lines:
            self.add(line)

    def add(self, line: str) -> None:
        self._count += 1
        self._hash.update(line.encode())

    def now(self) -> dict:
        """{"count", "digest"}."""
        return {"count": self._count, "digest": self._hash.hexdigest()}
