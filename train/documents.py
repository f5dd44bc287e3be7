"""JSON that somebody else may have written.

config.json, result.json, lines of metrics.jsonl, vocabularies, and TFDS's notes on a folder.
"""

import json
import math

from train import escapes

DEEPEST = 20  # levels of nested objects and lists; the project's own files have 4


def parse(text: str | bytes):
    """The value that the text holds.

    Raises ValueError, one line, where the text is not JSON, is nested deeper than DEEPEST, or has a
    number that is not finite or not within 64 bits.
    """
    try:
        value = json.loads(text, parse_int=_whole, parse_float=_real, parse_constant=_constant)
    except RecursionError:
        raise ValueError(f"nested deeper than {DEEPEST} levels") from None
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _inside(outer)]
    if level:
        raise ValueError(f"nested deeper than {DEEPEST} levels")
    return value


def read(path) -> dict:
    """The object in a file. Raises OSError, or ValueError as `parse` does."""
    value = parse(path.read_bytes())
    if not isinstance(value, dict):
        raise ValueError(f"a {type(value).__name__} where an object must be")
    return value


def _inside(value):
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _whole(digits: str) -> int:
    if len(digits) > 20 or abs(int(digits)) >= 2**63:
        raise ValueError(f"the number {escapes.shortened(digits, 24)} does not fit into 64 bits")
    return int(digits)


def _real(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        raise ValueError(f"the number {escapes.shortened(digits, 24)} is not finite")
    return number


def _constant(name: str):
    raise ValueError(f"{name} is not a number of JSON")
