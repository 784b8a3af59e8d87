"""Text from outside: its encoding, its lines, JSON. Whatever the bytes are, the only error is a DataError. Imports no torch.

``gansemble.data.tables`` reads tables with it; a plugin takes it for lists that are no tables.
"""

from __future__ import annotations

import codecs
import json
import re
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gansemble.audio.names import shown
from gansemble.errors import DataError

#: Larger files are no tables of clips, and would fill the memory [bytes].
LARGEST = 1 << 30
#: Longer lines are no rows of a table [characters].
LONGEST_LINE = 1_000_000
#: Marks that a file may begin with, and what they say; the longer ones first, as UTF-32's begins as UTF-16's does.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
#: What is often found in place of a table, by its first bytes, and what to do about it.
_OTHERS = (
    (b"\x1f\x8b", "is compressed with gzip; unpack it (gunzip)"),
    (b"PK\x03\x04", "is a ZIP archive, such as of a spreadsheet; unpack it, or export the spreadsheet as text"),
    (b"BZh", "is compressed with bzip2; unpack it (bunzip2)"),
    (b"\xfd7zXZ", "is compressed with xz; unpack it (unxz)"),
    (b"version https://git-lfs", "is a pointer of Git LFS, not the file itself; run git lfs pull"),
    (b"<!doctype html", "is a web page, as servers send with an error; download it again"),
    (b"<html", "is a web page, as servers send with an error; download it again"),
)
_BREAKS = re.compile(r"\r\n|\n|\r")
#: What spreadsheets and joined files leave around a word without its being seen: marks of order and joints of no width.
INVISIBLE = "\ufeff\u200b\u200c\u200d\u2060"


@dataclass(frozen=True)
class Line:
    """A line of a file that is not blank.

    Args:
        path: of the file.
        number: of the line, from 1.
        text: without its end.
    """

    path: Path
    number: int
    text: str

    @property
    def place(self) -> str:
        """File and line, for messages."""
        return f"{shown(self.path)}:{self.number}"


def check_encoding(encoding: str | None) -> None:
    """Refuses the name of an encoding that Python does not know.

    Raises:
        ValueError: naming it.
    """
    if encoding is None:
        return
    try:
        known = codecs.lookup(encoding).name
        "".encode(known)
    except (LookupError, ValueError) as error:
        raise ValueError(
            f"encoding must be the name of an encoding of text, such as utf-8, cp1252 or utf-16, got {encoding!r}"
        ) from error


def text(path: Path, encoding: str | None = None) -> str:
    """What a file of text holds, without a byte-order mark.

    Args:
        path: of the file.
        encoding: of the text; None: as its byte-order mark says, else UTF-16 where every other one of its first four bytes
            is zero, else UTF-8.

    Raises:
        DataError: if it cannot be read, is too large or no text; of bytes that are not in the encoding it names line and
            column of the first.
    """
    data = _bytes(path)
    for start, what in _OTHERS:
        if data[: len(start)].lower() == start.lower():
            raise DataError(f"{shown(path)}: expected a file of text, but it {what}")
    used = encoding or _recognised(data)
    try:
        decoded = data.decode(used)
    except UnicodeDecodeError as error:
        raise _undecoded(path, error, encoding) from error
    except (LookupError, ValueError) as error:
        raise DataError(f"{shown(path)}: cannot be decoded as {used} ({error}); save it as UTF-8") from error
    decoded = decoded.removeprefix("\ufeff")
    zero = decoded.find("\0")
    if zero >= 0:
        raise DataError(
            f"{_place(path, decoded, zero)}: a zero byte, which no text holds: the file is damaged, or not in {used}; get it "
            "again, or save it as UTF-8"
        )
    return decoded


def _bytes(path: Path) -> bytes:
    """The content of a regular file; a pipe would be waited for, a device may have no end."""
    try:
        facts = path.stat()
        if stat.S_ISDIR(facts.st_mode):
            raise DataError(f"{shown(path)}: expected a file, found a folder; put the file there")
        if not stat.S_ISREG(facts.st_mode):
            raise DataError(f"{shown(path)}: expected a file, found a pipe or device; put the file there")
        if facts.st_size > LARGEST:
            raise DataError(
                f"{shown(path)}: expected at most {LARGEST:,} bytes, got {facts.st_size:,}; this is no such file, get it again"
            )
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{shown(path)}: no such file; get it again") from error
    except OSError as error:
        raise DataError(
            f"{shown(path)}: cannot be read ({error.strerror}); permit reading it, or get it again"
        ) from error
    except ValueError as error:  # a zero character in the name
        raise DataError(f"{shown(path)}: no name of a file ({error})") from error


def _recognised(data: bytes) -> str:
    """The encoding that a file's first bytes tell."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            return name
    # UTF-16 without a mark: the plain letters that tables and lists begin with have a zero byte beside them.
    zeros = [byte == 0 for byte in data[:4]]
    if zeros == [False, True] * 2:
        return "utf-16-le"
    if zeros == [True, False] * 2:
        return "utf-16-be"
    return "utf-8"


def _undecoded(path: Path, error: UnicodeDecodeError, stated: str | None) -> DataError:
    data = error.object  # without the mark, where the codec takes it off
    before = data[: error.start].decode(error.encoding, "replace").removeprefix("\ufeff")
    place = _place(path, before, len(before))
    byte = f"byte 0x{data[error.start]:02x}" if error.start < len(data) else "the end"
    if stated is not None:
        return DataError(f"{place}: {byte} is not text in {stated} (corpus.encoding); name the file's own encoding")
    if error.encoding == "utf-8":
        return DataError(
            f"{place}: {byte} is not text in UTF-8; if the file is in another encoding, save it as UTF-8 or name it, such as "
            "corpus.encoding=cp1252 (Windows, Latin-1); else it is damaged: get it again"
        )
    return DataError(f"{place}: {byte} is not text in {error.encoding}, as the file's beginning says; get it again")


def _place(path: Path, content: str, index: int) -> str:
    """File, line and column of a character, both from 1."""
    breaks = list(_BREAKS.finditer(content, 0, index))
    column = index - breaks[-1].end() if breaks else index
    return f"{shown(path)}:{len(breaks) + 1}:{column + 1}"


def lines(path: Path, encoding: str | None = None) -> list[Line]:
    """The lines of a file that are not blank. LF, CR LF and CR end a line; U+2028 and the like are text.

    Args:
        path: of the file.
        encoding: as for :func:`text`.

    Raises:
        DataError: as :func:`text` does, and if a line is too long for a row of a table.
    """
    return list(_lines(path, text(path, encoding)))


def _lines(path: Path, content: str) -> Iterator[Line]:
    for number, each in enumerate(_BREAKS.split(content), 1):
        if len(each) > LONGEST_LINE:
            raise DataError(
                f"{shown(path)}:{number}: a line of {len(each):,} characters, expected at most {LONGEST_LINE:,}; the file is "
                "damaged, get it again"
            )
        if each.strip(f"{INVISIBLE} \t\v\f\x1a"):  # U+001A ends files of DOS
            yield Line(path, number, each)


def json_object(path: Path) -> dict[str, object]:
    """The object that a JSON file holds.

    Args:
        path: of the file, in UTF-8, UTF-16 or UTF-32.

    Raises:
        DataError: if it cannot be read, is no JSON or no object, holds a key twice, or is nested too deep; with line and
            column where JSON ends.
    """
    content = text(path)
    try:
        found = json.loads(content, object_pairs_hook=_once, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise DataError(f"{shown(path)}:{error.lineno}:{error.colno}: not JSON ({error.msg}); get it again") from error
    except RecursionError as error:
        raise DataError(f"{shown(path)}: its JSON is nested too deep; get it again") from error
    except ValueError as error:
        raise DataError(f"{shown(path)}: {error}; get it again") from error
    if not isinstance(found, dict):
        raise DataError(f"{shown(path)}: expected a JSON object, got {type(found).__name__}; get it again")
    return found


def _once(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise ValueError(f"the JSON key {brief(counts.most_common(1)[0][0])} is there more than once")
    return found


def _refuse(word: str) -> object:
    raise ValueError(f"{word} is no number of JSON")


def brief(value: object) -> str:
    """A value for a message: escaped where it cannot be printed, and cut where it is long."""
    said = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return said if len(said) <= 60 else f"{said[:50]}…{said[-1]}"


def tidy(word: str) -> str:
    """A word without spaces and invisible characters around it."""
    return word.strip().strip(INVISIBLE).strip()
