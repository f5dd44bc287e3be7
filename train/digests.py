"""Digests of what JSON files hold: a file that was changed since is noticed when it is read."""

import hashlib
import json


def sealed(document: dict) -> dict:
    """With a digest of its own, of plain JSON, under "seal"."""
    text = json.dumps(document, sort_keys=True)
    return document | {"seal": hashlib.sha256(text.encode()).hexdigest()}


def opened(document: dict) -> dict:
    """Without its seal, if it has one. Raises ValueError where it is not what was sealed."""
    inside = {key: value for key, value in document.items() if key != "seal"}
    if "seal" in document and sealed(inside) != document:
        raise ValueError("its contents do not match its digest")
    return inside


class Lines:
    """The digest of lines, in their order."""

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
