"""The small files in which the toolkit notes things as JSON: read with a check of what they hold, and written whole.

Such a file may have been cut by a crash, edited by hand or be of another version. What is read is held against a type,
such as a ``TypedDict``, before anything relies on it. Imports no torch.
"""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from gansemble.errors import DataError, first_few
from gansemble.files import write_atomically

T = TypeVar("T")
#: Made once: a list of a million clips takes half as long.
_ENCODER = json.JSONEncoder(ensure_ascii=False)
#: How much of a value's misfit is shown in a message [characters].
SHOWN = 200


class DamagedFile(DataError):
    """A file that the toolkit wrote is there, but does not hold what was written."""


class MissingFile(DataError):
    """A file that the toolkit should have written is not there."""


@dataclass(frozen=True)
class Rows(Generic[T]):
    """The rows of a file with one JSON value per line, of which damaged lines were left out.

    Args:
        rows: those that are sound, in their order.
        damaged: the numbers of the lines that were left out, from 1; or 0 where nothing of the file can be read.
        path: of the file.
    """

    rows: list[T]
    damaged: list[int]
    path: Path

    @property
    def loss(self) -> str | None:
        """What was left out, as a message; None if nothing was."""
        if not self.damaged:
            return None
        if self.damaged == [0]:
            return f"{self.path}: cannot be read, so its lines are left out"
        lines = first_few([str(number) for number in self.damaged], 5)
        what = f"line {lines} is" if len(self.damaged) == 1 else f"{len(self.damaged)} lines ({lines}) are"
        return f"{self.path}: {what} damaged and left out"


def read(path: Path, kind: type[T], remedy: str) -> T:
    """Reads a file that holds one JSON value, and checks it.

    Args:
        path: of the file.
        kind: the type that the value must be of, such as a ``TypedDict`` or a dataclass; fields that it does not have are left
            out, as a later version may have written them.
        remedy: what the user should do about a file that is missing or damaged, as the end of a message.

    Raises:
        MissingFile: if it is not there.
        DamagedFile: if it cannot be read, or the value is of another type; the message says where.
    """
    text = _text(path, remedy)
    try:
        return parse(text, kind)
    except ValueError as error:
        raise DamagedFile(f"{path}: damaged ({error}); {remedy}") from error


def read_rows(path: Path, kind: type[T], remedy: str) -> list[T]:
    """Reads a file with one JSON value per line, and checks each; the arguments and errors are those of :func:`read`."""
    rows = []
    for number, line in enumerate(_text(path, remedy).split("\n"), 1):
        if not line:
            continue
        try:
            rows.append(parse(line, kind))
        except ValueError as error:
            raise DamagedFile(f"{path}:{number}: damaged ({error}); {remedy}") from error
    return rows


def sound_rows(path: Path, kind: type[T], fits: Callable[[T], bool] = lambda row: True) -> Rows[T]:
    """Reads those lines of a file that are sound, for files that nothing depends on; none if there is no file.

    Args:
        path: of the file.
        kind: the type of each row.
        fits: a further condition of a row.
    """
    try:
        content = path.read_bytes() if path.is_file() else b""
    except OSError:
        return Rows([], [0], path)
    if not content and path.exists() and not path.is_file():
        return Rows([], [0], path)
    rows, damaged = [], []
    # Lines end at \n alone: str.splitlines() also splits where a text holds U+2028.
    for number, line in enumerate(content.split(b"\n"), 1):
        if line:
            try:
                row = parse(line, kind)
                if not fits(row):
                    raise ValueError
                rows.append(row)
            except ValueError:
                damaged.append(number)
    return Rows(rows, damaged, path)


def parse(text: str | bytes, kind: type[T]) -> T:
    """The value of a JSON text, checked as :func:`read` does.

    Raises:
        ValueError: if the text is no JSON in UTF-8, is nested too deeply, or its value is of another type.
    """
    try:
        value = json.loads(text.decode() if isinstance(text, bytes) else text)
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 text, at byte {error.start}") from error
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"it is not JSON: {error}" if text else "it is empty") from error
    return checked(value, kind)


def checked(value: object, kind: type[T]) -> T:
    """A value that was read from JSON, if it is of a type; what a ``TypedDict`` does not name is left out.

    Raises:
        ValueError: if it is of another type; the message says where.
    """
    from typeguard import CollectionCheckStrategy, TypeCheckError, check_type  # takes 40 ms

    if typing.is_typeddict(kind) and isinstance(value, dict):
        named = typing.get_type_hints(kind)
        value = {name: item for name, item in value.items() if name in named}
    try:
        return check_type(_built(value, kind), kind, collection_check_strategy=CollectionCheckStrategy.ALL_ITEMS)
    except TypeCheckError as error:
        said = " ".join(str(error).split())
        raise ValueError(said if len(said) <= SHOWN else said[:SHOWN] + " …") from error


def _built(value: object, kind: object) -> object:
    """What JSON has no values for, made of those that it has: tuples, and dataclasses, also within lists and objects.

    What does not fit is returned as it is, for typeguard to name.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(value, list) and origin is tuple:
        return tuple(value)
    if isinstance(value, list) and origin is list:
        return [_built(item, arguments[0]) for item in value]
    if not isinstance(value, dict):
        return value
    if origin is dict:
        return {name: _built(item, arguments[1]) for name, item in value.items()}
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        return value
    hints, fields = typing.get_type_hints(kind), {field.name: field for field in dataclasses.fields(kind)}
    nothing = dataclasses.MISSING
    for name, field in fields.items():
        if name in value:
            checked(value[name], hints[name])
        elif field.default is nothing and field.default_factory is nothing:
            raise ValueError(f"{name} is missing")
    return kind(**{name: item for name, item in value.items() if name in fields})


def write(path: Path, value: object) -> None:
    """Writes a value as JSON, whole or not at all; folders that are missing are created.

    Raises:
        OSError: if it cannot be written, as on a full disk; it names the file.
    """
    write_atomically(path, json.dumps(value, indent=1))


def write_rows(path: Path, rows: Iterable[object]) -> None:
    """Writes values as one line of JSON each, whole or not at all, as :func:`write` does."""
    write_atomically(path, b"".join(_line(row) + b"\n" for row in rows))


def _line(row: object) -> bytes:
    try:
        return _ENCODER.encode(row).encode()
    except UnicodeEncodeError:  # a file name that is not UTF-8
        return json.dumps(row).encode()


def _text(path: Path, remedy: str) -> str:
    """The content of a file; of a pipe or a device, which might never end, nothing is read."""
    if path.exists() and not path.is_file():
        raise DamagedFile(f"{path}: expected a file, but something else has its name; move it away, then {remedy}")
    try:
        return path.read_bytes().decode()
    except FileNotFoundError as error:
        raise MissingFile(f"{path}: is not there; {remedy}") from error
    except UnicodeDecodeError as error:
        raise DamagedFile(f"{path}: damaged (it is not UTF-8 text, at byte {error.start}); {remedy}") from error
    except OSError as error:
        raise DamagedFile(f"{path}: cannot be read ({error.strerror}); {remedy}") from error
