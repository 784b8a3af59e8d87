"""What stage 4 made and stage 5 found: records that later stages rely on, written whole and checked when they are read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gansemble.errors import DataError
from gansemble.files import sha256, write_atomically

SHOWN = 3
_INDEX = {"split": str, "step": int, "clips": list}
_SUMMARY = {"step": int, "scores": dict, "environment": dict}


def write(exp: Path, facts: Mapping[str, Any], made: Sequence[Path]) -> Path:
    """Writes ``samples/index.json``: facts of the samples, and the hash of each file that was made."""
    folder = exp / "samples"
    hashes = {path.relative_to(folder).as_posix(): sha256(path) for path in made}
    path = folder / "index.json"
    write_atomically(path, json.dumps({**facts, "files": hashes}, indent=1))
    return path


def read(exp: Path) -> dict[str, Any]:
    """What :func:`write` wrote.

    Raises:
        DataError: if it is missing or damaged.
    """
    found = _read(exp / "samples" / "index.json", _INDEX, "run stage 4 again with --force")
    if not all(isinstance(row, dict) and isinstance(row.get("id"), str) for row in found["clips"]):
        raise DataError(
            f"{exp / 'samples' / 'index.json'}: damaged (clips without an id); run stage 4 again with --force"
        )
    return {"files": {}, "trained_on": [], **found}


def files(exp: Path) -> list[Path]:
    """The index and all that it lists: what stage 4 promises."""
    folder = exp / "samples"
    return [folder / "index.json", *(folder / name for name in read(exp)["files"])]


def demand_unchanged(exp: Path, index: Mapping[str, Any]) -> None:
    """Refuses samples that are not those which the index lists.

    Raises:
        DataError: naming them.
    """
    wrong = []
    for name, digest in index["files"].items():
        path = exp / "samples" / name
        if not path.is_file() or sha256(path) != digest:
            wrong.append(name)
    if wrong:
        named = ", ".join(wrong[:SHOWN]) + (", …" if len(wrong) > SHOWN else "")
        raise DataError(
            f"{exp / 'samples'}: {len(wrong)} of {len(index['files'])} samples are gone or not those that stage 4 made "
            f"({named}); run stage 4 again with --force"
        )


def summary(exp: Path) -> dict[str, Any]:
    """What stage 5 wrote into ``scores/summary.json``.

    Raises:
        DataError: if it is missing or damaged.
    """
    return _read(exp / "scores" / "summary.json", _SUMMARY, "run stage 5 again with --force")


def of_other_recordings(one: Mapping[str, Any], other: Mapping[str, Any]) -> set[str]:
    """Ids that stand for other recordings in two experiments' indexes: a comparison of these would mean nothing."""
    ours = {row["id"]: row.get("sha256") for row in one["clips"]}
    theirs = {row["id"]: row.get("sha256") for row in other["clips"]}
    return {id_ for id_ in ours if id_ in theirs and None not in (ours[id_], theirs[id_]) and ours[id_] != theirs[id_]}


def rows(path: Path) -> dict[str, dict[str, Any]]:
    """The lines of a ``scores.jsonl`` by id.

    Raises:
        DataError: if it is missing or damaged.
    """
    try:
        found = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
        return {row["id"]: row for row in found}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: missing or damaged ({error}); run stage 5 again with --force") from error


def _read(path: Path, fields: Mapping[str, type], remedy: str) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path}: is not there; {remedy}") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: damaged ({error}); {remedy}") from error
    for name, kind in fields.items():
        value = found.get(name) if isinstance(found, dict) else None
        number = kind is float and isinstance(value, int)
        if not isinstance(value, kind) and not number:
            raise DataError(f"{path}: damaged ({name} is {type(value).__name__}, not {kind.__name__}); {remedy}")
    return found
