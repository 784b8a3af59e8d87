"""Reads the text of a recipe file: what may be one, and where a byte or a character stands that cannot be in it."""

from __future__ import annotations

import codecs
import os
import stat
from pathlib import Path

from gansemble.files import near_path

#: Largest recipe file [bytes]. Those that ship with the toolkit have less than 5 kB; larger ones are data by mistake.
LARGEST = 256 * 1024
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


class TextFault(Exception):
    """A file that holds no text of a recipe.

    Args:
        message: what is wrong and what to do.
        line, column: where, counted from 1; None if it is the whole file.
        text: the line, as far as it can be shown.
    """

    def __init__(self, message: str, line: int | None = None, column: int = 1, text: str = "") -> None:
        super().__init__(message)
        self.message, self.line, self.column, self.text = message, line, column, text


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, without a byte-order mark.

    Raises:
        TextFault: if there is no such file, it is none that can be read to its end, or its content is no UTF-8 text.
    """
    try:
        # A pipe without a writer would be waited for when it is opened, so it is looked at before.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0))) as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise TextFault(f"is {_KINDS.get(stat.S_IFMT(mode), 'no plain file')}; give a recipe file (YAML)")
            content = file.read(LARGEST + 1)
    except FileNotFoundError as error:
        raise TextFault(f"no such recipe file{near_path(Path(path))}") from error
    except IsADirectoryError as error:
        raise TextFault("is a folder; give a recipe file (YAML) in it") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise TextFault(f"cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if len(content) > LARGEST:
        raise TextFault(f"is larger than {LARGEST // 1024} kB, which no recipe is; is it a file of data?")
    return decode(content)


def decode(content: bytes) -> str:
    """Bytes as UTF-8 text, without a byte-order mark.

    Raises:
        TextFault: if they are of another encoding, with the place of the first byte that shows it.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise TextFault("is UTF-16 text; save it as UTF-8")
    if b"\0" in content[:4]:
        raise TextFault("is no UTF-8 text: it begins with a NUL, as UTF-16 text or binary data do; save it as UTF-8")
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8")
        lines = before.split("\n")
        whole = content[: error.start + 1].rpartition(b"\n")[2] + content[error.start + 1 :].partition(b"\n")[0]
        latin = content[error.start : error.start + 1].decode("latin-1")
        meant = f" ({latin!r} in Latin-1)" if latin.isprintable() else ""
        raise TextFault(
            f"byte 0x{content[error.start]:02x}{meant} is no UTF-8 text; save the file as UTF-8",
            len(lines),
            len(lines[-1]) + 1,
            whole.decode("utf-8", "replace"),
        ) from error


def first_unreadable(text: str) -> tuple[int, int, str] | None:
    """The first character that YAML cannot hold, such as NUL: (line, column, line's text), both counted from 1.

    None if there is none.
    """
    for number, line in enumerate(text.split("\n"), 1):
        for column, letter in enumerate(line, 1):
            code = ord(letter)
            if (code < 32 and letter not in "\t\r") or (127 <= code < 160 and code != 0x85) or 0xD800 <= code < 0xE000:
                return number, column, line
            if code in (0xFFFE, 0xFFFF):
                return number, column, line
    return None
