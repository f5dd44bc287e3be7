"""Lines of text: only a line break ends one, and a record is one line whatever its columns hold."""

import helpers
import pytest
from etils import epath

from scripts import table_runs
from train.data import text_lines
from train.data.vocabulary import Vocabulary
from train.errors import BadInput
from train.log import write_whole


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


def test_files_of_ours_are_utf8_whatever_the_locale(tmp_path):
    """Without a named encoding Python would read and write as the locale has it, here ASCII."""
    vocabulary = tmp_path / "tokens.vocabulary.json"
    write_whole(epath.Path(vocabulary), Vocabulary.build(["né ß ι"], "symbol").to_json())
    line = dict.fromkeys(table_runs.COLUMNS, "1") | {"row": "né"}
    text = "\n".join([",".join(line), ",".join(line.values()), ""])
    (tmp_path / "results.csv").write_bytes(text.encode())
    script = "import pathlib, sys; from etils import epath; from train import trained\n"
    script += "from scripts import table_runs; folder = pathlib.Path(sys.argv[1])\n"
    script += "words = trained._vocabulary(epath.Path(folder / 'tokens.vocabulary.json')).symbols\n"
    script += "rows = table_runs.read(folder)\n"
    script += "print(ascii(words[4:]), ascii(rows[0]['row']))\n"
    ascii_alone = dict(LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0")
    done = helpers.python("-c", script, tmp_path, devices=1, **ascii_alone)
    assert done.stdout == "('n\\xe9', '\\xdf', '\\u03b9') 'n\\xe9'\n", done.stderr
