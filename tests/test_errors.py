"""What the one line of an error says."""

import types

import pytest

from scripts import transduce
from train.errors import BadInput, reason


def test_the_reason_of_an_error_of_no_system_call_is_what_it_says(monkeypatch):
    assert reason(OSError("the server is away")) == "the server is away"
    assert reason(OSError(28, "No space left on device")) == "No space left on device"
    assert reason(OSError()) == "OSError"


def test_a_file_that_a_library_cannot_read_is_refused_with_its_reason():
    def read_bytes():
        raise OSError("the server is away")

    flags = types.SimpleNamespace(texts=[], file=types.SimpleNamespace(read_bytes=read_bytes))
    with pytest.raises(BadInput, match=r"cannot be read \(the server is away\)"):
        transduce._texts(flags)
