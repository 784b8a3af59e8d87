"""The toolkit's own small files: whatever has become of one, it is named, and nothing of it is relied on."""

from __future__ import annotations

import json
import os
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import NotRequired, TypedDict

import pytest

from gansemble.stages import json_files
from gansemble.stages.json_files import DamagedFile, MissingFile


class Note(TypedDict):
    name: str
    sizes: dict[str, int]
    late: NotRequired[float]


@dataclass(frozen=True)
class Fact:
    id: str
    size: int = 0


WHOLE = {"name": "a", "sizes": {"x": 1}}
DAMAGED = {
    "empty": (b"", "it is empty"),
    "cut": (b'{"name": "a", "si', "it is not JSON"),
    "null": (b"null", "None is not a dict"),
    "a list": (b"[]", "list is not a dict"),
    "a number": (b"3", "int is not a dict"),
    "without a field": (b'{"name": "a"}', 'missing required key(s): "sizes"'),
    "a field of another type": (b'{"name": 1, "sizes": {}}', "value of key 'name'"),
    "an inner value of another type": (b'{"name": "a", "sizes": {"x": "1"}}', "value of key 'x'"),
    "nested too deeply": (b"[" * 100_000, "nested too deeply"),
    "not UTF-8": (b'{"name": "\xff"}', "not UTF-8 text, at byte 10"),
    "UTF-16": (json.dumps(WHOLE).encode("utf-16"), "not UTF-8 text"),
    "a byte-order mark": (b"\xef\xbb\xbf{}", "it is not JSON"),
    "more digits than Python reads": (b'{"name": "a", "sizes": {"x": ' + b"9" * 5000 + b"}}", "it is not JSON"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_file_is_named_with_what_is_wrong_and_what_to_do(tmp_path: Path, kind: str):
    path, (content, why) = tmp_path / "note.json", DAMAGED[kind]
    path.write_bytes(content)
    with pytest.raises(DamagedFile) as raised:
        json_files.read(path, Note, "make it again")
    said = str(raised.value)
    assert said.startswith(f"{path}: damaged (") and why in said and said.endswith("; make it again")


def test_what_is_no_file_is_not_read_as_one(tmp_path: Path):
    """A pipe would be waited for without end."""
    with pytest.raises(MissingFile, match="is not there; make it"):
        json_files.read(tmp_path / "none.json", Note, "make it")
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "folder.json").mkdir()
    for name in ("pipe.json", "folder.json"):
        with pytest.raises(DamagedFile, match=f"{name}: expected a file"):
            json_files.read(tmp_path / name, Note, "make it")
        assert (
            json_files.sound_rows(tmp_path / name, dict).loss
            == f"{tmp_path / name}: cannot be read, so its lines are left out"
        )


def test_fields_of_a_later_version_are_left_out(tmp_path: Path):
    path = tmp_path / "note.json"
    json_files.write(path, {**WHOLE, "later": 1})
    assert json_files.read(path, Note, "") == WHOLE


def test_dataclasses_and_tuples_are_made_of_what_json_has(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    json_files.write(path, {"a": [{"id": "x", "size": 2, "later": 0}, {"id": "y"}]})
    assert json_files.read(path, dict[str, list[Fact]], "") == {"a": [Fact("x", 2), Fact("y")]}
    for wrong, why in (
        ([{"size": 1}], "id is missing"),
        ([{"id": "x", "size": "2"}], "not an instance of int"),
        ([3], "Fact"),
    ):
        with pytest.raises(ValueError, match=why):
            json_files.checked(wrong, list[Fact])
    json_files.write_rows(path, [["a", 1]])
    assert json_files.read_rows(path, tuple[str, int], "") == [("a", 1)]


def test_lines_end_at_newlines_alone(tmp_path: Path):
    """U+2028, U+0085 and others end a line for str.splitlines()."""
    path, ids = tmp_path / "rows.jsonl", ["a\u2028b", "c\u0085d", "e\x1cf", "\udcff"]
    json_files.write_rows(path, ids[:3])
    assert json_files.read_rows(path, str, "") == ids[:3]
    path.write_text("".join(json.dumps(id_, ensure_ascii=False) + "\n" for id_ in ids[:3]), encoding="utf-8")
    assert json_files.read_rows(path, str, "") == json_files.sound_rows(path, str).rows == ids[:3]
    json_files.write_rows(path, ids)  # a file name that is not UTF-8
    assert json_files.read_rows(path, str, "") == ids


def test_a_damaged_line_is_named_by_its_number_or_left_out(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"id": "a"}\n\n{"id": 3}\n\xff\n{"id": "b"}\n{"id"')
    with pytest.raises(DamagedFile):
        json_files.read_rows(path, dict[str, str], "make it again")
    path.write_bytes(path.read_bytes().replace(b"\xff", b""))
    with pytest.raises(DamagedFile, match=r"rows\.jsonl:3: damaged \(.*; make it again"):
        json_files.read_rows(path, dict[str, str], "make it again")
    found = json_files.sound_rows(path, dict[str, str])
    assert found.rows == [{"id": "a"}, {"id": "b"}]
    assert found.loss == f"{path}: 2 lines (3, 6) are damaged and left out"


def test_a_full_disk_leaves_the_file_as_it_was_and_is_told_with_its_name(tmp_path: Path):
    path = tmp_path / "note.json"
    json_files.write(path, WHOLE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
    try:
        with pytest.raises(OSError, match=r"note\.json") as raised:
            json_files.write(path, {**WHOLE, "name": "b" * 1000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert raised.value.filename == str(path)
    assert json_files.read(path, Note, "") == WHOLE and [each.name for each in tmp_path.iterdir()] == ["note.json"]
