"""Lines of text: only a line break ends one, and a record is one line whatever its columns hold."""

import pytest

from train.data import text_lines
from train.errors import BadInput


def test_only_a_line_break_ends_a_line():
    odd = "form\x0cfeed, next\x85line, \u2028separator, \x1cfile, lone\rreturn, \vtab"
    assert text_lines.split(f"{odd}\n\n  \nlast") == [odd, "", "  ", "last"]
    assert text_lines.split("") == [] and text_lines.split("\n") == [""]


def test_windows_line_ends_and_a_byte_order_mark_are_not_part_of_a_line():
    assert text_lines.decode(b"\xef\xbb\xbfone\r\ntwo\r\n", "here") == ["one", "two"]


def test_bytes_that_are_not_utf8_are_refused_with_their_line():
    with pytest.raises(BadInput, match="^words.txt: line 3 is not UTF-8"):
        text_lines.decode("a\n\nñ".encode("latin-1"), "words.txt")
    with pytest.raises(BadInput, match="^--prompt: .*is not UTF-8"):
        text_lines.require_utf8("\udcff", "--prompt")


def test_a_record_is_one_line_of_as_many_columns_as_it_was_given():
    line = text_lines.record("a\tb", "c\nd", "e\r", "f\\t")
    assert line == "a\\tb\tc\\nd\te\\r\tf\\\\t" and line.count("\t") == 3
