"""Text and tables from outside: encodings, ends of lines, quotation marks, and what is there in place of a table."""

import bz2
import gzip
import json
import os
import time

import pytest

from gansemble.data import tables, text_files
from gansemble.errors import DataError

ROWS = "id,text\na,é\nb,\u20ac 2\u2028x\n"
EXPECTED = [("a", "é"), ("b", "\u20ac 2\u2028x")]


@pytest.fixture
def table(tmp_path):
    def write(content: bytes | str, **how):
        path = tmp_path / "table.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return [(row.values["id"], row.values["text"]) for row in tables.read(path, ("id", "text"), **how)]

    return write


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be with a mark"]
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_that_a_files_beginning_tells_and_all_ends_of_lines_are_read(table, encoding, end):
    text = ROWS.replace("\n", end)
    data = ("\ufeff" + text).encode("utf-32-be") if encoding.endswith("mark") else text.encode(encoding)
    assert table(data) == EXPECTED


def test_utf_16_of_either_order_with_its_mark_is_read(table):
    for order in ("utf-16-le", "utf-16-be"):
        assert table(("\ufeff" + ROWS).encode(order)) == EXPECTED
        assert table(("\ufeff" + ROWS).encode(order), encoding=order) == EXPECTED, (
            "the mark is no part of a column's name"
        )


def test_another_encoding_is_refused_with_place_and_advice_and_can_be_named(table):
    data = ROWS.replace("\u2028", " ").encode("cp1252")
    with pytest.raises(DataError, match=r"table\.csv:2:3: byte 0xe9 is not text in UTF-8; .*corpus\.encoding=cp1252"):
        table(data)
    assert table(data, encoding="cp1252") == [("a", "é"), ("b", "\u20ac 2 x")]
    with pytest.raises(DataError, match=r"table\.csv:2:3: byte 0xe9 is not text in ascii \(corpus\.encoding\)"):
        table(data, encoding="ascii")
    with pytest.raises(DataError, match=r"table\.csv:1:3: byte 0x0a is not text in utf-16-le, as"):
        table(b"\xff\xfea\0b\0\n")
    with pytest.raises(DataError, match=r"table\.csv:2:2: byte 0xff is not text in UTF-8"):
        table(b"\xef\xbb\xbfid,text\na\xff,b\n")


@pytest.mark.parametrize("name", ["base64", "no-such", "", "a\0b", "undefined"])
def test_names_of_no_encoding_are_refused(name):
    with pytest.raises(ValueError, match="encoding must be the name of an encoding of text"):
        text_files.check_encoding(name)
    text_files.check_encoding(None)
    text_files.check_encoding("Latin-1")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"table\.csv:1: expected the columns id, text, but the file is empty"),
        ("\n \n\ufeff\n", r"table\.csv:1: .* the file is empty"),
        ("id,txt\na,b\n", r"table\.csv:1: expected the columns id, text, but text is not among .*; did you mean 'txt'\?"),
        ("id;text\na;b\n", r"its columns are parted by ';', so save it with ',' between them"),
        ("id\ttext\na\tb\n", r"its columns are parted by '\\t'"),
        ("id,text,id\na,b,c\n", r"table\.csv:1: the column 'id' is there twice"),
        ("id,text\na\n", r"table\.csv:2: expected 2 columns, as the first line names, got 1 \('a'\)"),
        ("id,text\n\na,b\nc,d,e\n", r"table\.csv:4: expected 2 columns, as the first line names, got 3"),
        ('id,text\na,"b\nc,"d\ne,f\n', r"table\.csv:2:3: not a row .*a quotation mark is opened and not closed on the line"),
        ('id,text\na,"b\nc,d"\ne,f\n', r"table\.csv:2:3: not a row .*a quotation mark is opened and not closed on the line"),
        ('id,text\na,b\nc,"d', r"table\.csv:3:3: not a row .*a quotation mark is opened"),
        ('id,text\na,"b"c\n', r"table\.csv:2:3: not a row"),
        ("id,text\na,b\0c\n", r"table\.csv:2:4: a zero byte"),
        ("id,text\na," + "b" * 1_000_001, r"table\.csv:2: a line of 1,000,003 characters, expected at most 1,000,000"),
        ("id,text\na," + "b" * 200_000, r"table\.csv:2: not a row .*field larger than field limit"),
        (gzip.compress(ROWS.encode(), mtime=0)[:20], r"table\.csv: expected a file of text, but it is compressed with gzip; unpack"),
        (bz2.compress(ROWS.encode()), "is compressed with bzip2"),
        (b"PK\x03\x04" + bytes(50), "is a ZIP archive, such as of a spreadsheet"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a pointer of Git LFS"),
        (b"<!DOCTYPE HTML><html>", "is a web page"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_refused_with_its_place_and_what_to_do(table, content, message):
    with pytest.raises(DataError, match=message):
        table(content)


def test_what_cannot_be_opened_is_refused_at_once(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    with (tmp_path / "huge.csv").open("wb") as out:
        out.truncate((1 << 30) + 1)
    began = time.monotonic()
    for name, message in (
        ("folder.csv", "expected a file, found a folder"),
        ("pipe.csv", "expected a file, found a pipe or device"),
        ("absent.csv", "no such file"),
        ("loop.csv", r"cannot be read \(Too many levels of symbolic links\)"),
        ("folder.csv/x", "no such file|cannot be read"),
        ("huge.csv", r"expected at most 1,073,741,824 bytes, got 1,073,741,825"),
        ("a\0b.csv", "no name of a file"),
        ("n" * 300, "cannot be read"),
    ):
        with pytest.raises(DataError, match=message):
            tables.read(tmp_path / name, ("id",))
    assert time.monotonic() - began < 5


def test_spaces_and_invisible_characters_around_a_value_are_no_part_of_it(table, tmp_path):
    table("\ufeffid , text\n\u200b a\u00a0,\ufeffb \n")
    row = tables.read(tmp_path / "table.csv", ("id", "text"))[0]
    assert (row.text("id"), row.text("text")) == ("a", "b")


def test_control_characters_are_no_part_of_a_label(table, tmp_path):
    table("id,text\na,b\x1b[2Jc\n")
    with pytest.raises(
        DataError, match=r"table\.csv:2: expected text as text, got 'b\\x1b\[2Jc' with control characters"
    ):
        tables.read(tmp_path / "table.csv", ("id", "text"))[0].text("text")


def test_numbers_that_are_none_are_refused(table, tmp_path):
    for value in ("", "x", "-1", "1.0", "\u0661", "9" * 5000, "1e2"):
        table(f"id,text\n{value},b\n")
        with pytest.raises(DataError, match=r"table\.csv:2: expected a id from 0 to 10, got"):
            tables.read(tmp_path / "table.csv", ("id", "text"))[0].whole("id", 0, 10)


def test_lines_keep_their_numbers_and_blank_ones_are_left_out(tmp_path):
    (tmp_path / "list.txt").write_bytes("\ufeffa\r\n\r\n\tb\u2028c \r d\n\x1a".encode())
    found = text_files.lines(tmp_path / "list.txt")
    assert [(line.number, line.text) for line in found] == [(1, "a"), (3, "\tb\u2028c "), (4, " d")]
    assert found[1].place.endswith("list.txt:3")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", r"facts\.json:1:2: not JSON"),
        (b"", r"facts\.json:1:1: not JSON"),
        (b'{"a": 1,\n "b" 2}', r"facts\.json:2:6: not JSON"),
        (b"[]", "expected a JSON object, got list"),
        (b'{"a": 1, "b": 2, "a": 3}', "the JSON key 'a' is there more than once"),
        (b'{"a": NaN}', "NaN is no number of JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "Exceeds the limit"),
        (b'{"a":' * 100_000, "nested too deep"),
        (b'{"a": "\xe9"}', r"facts\.json:1:8: byte 0xe9 is not text in UTF-8"),
        (b'{"a\0": 1}', r"facts\.json:1:4: a zero byte"),
    ],
)
def test_json_that_is_none_is_refused(tmp_path, content, message):
    (tmp_path / "facts.json").write_bytes(content)
    with pytest.raises(DataError, match=message):
        text_files.json_object(tmp_path / "facts.json")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_json_is_read_in_the_encodings_it_may_have(tmp_path, encoding):
    (tmp_path / "facts.json").write_bytes(json.dumps({"é": 1}, ensure_ascii=False).encode(encoding))
    assert text_files.json_object(tmp_path / "facts.json") == {"é": 1}


def test_messages_hold_values_that_can_be_printed(table):
    with pytest.raises(DataError) as caught:
        table("id,text\n\x1b[2J\u2028,b,c" + "d" * 500 + "\n")
    assert str(caught.value).isprintable() and len(str(caught.value)) < 400
