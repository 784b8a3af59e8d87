"""The lists of what a run was trained on, and how later data are said to differ from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gansemble.data import manifest
from gansemble.data.manifest import Manifest, ManifestEntry
from gansemble.data.trained_on import FOLDER, difference, entry, note


def clip(name: str, split: str = "train") -> ManifestEntry:
    return ManifestEntry(name, f"{name}.wav", split, 8000, 100, 1, 8000, 0, 0.5, f"hash of {name}")


OLD = [clip("a"), clip("b"), clip("c"), clip("d", "validation"), clip("e", "test")]


def packed(entries: list[ManifestEntry]) -> Manifest:
    return Manifest(entries, manifest.identity(entries), "")


def told(exp: Path, entries: list[ManifestEntry]) -> str:
    """How the clips are said to differ from the old ones."""
    note(exp, packed(OLD))
    return difference(exp, entry(packed(OLD).identity, 0), packed(entries))


@pytest.mark.parametrize(
    ("entries", "wanted"),
    [
        ([*OLD, clip("f"), clip("g", "validation")], "2 clips added (f, g)"),
        (OLD[1:], "1 clip removed (a)"),
        ([replace(OLD[0], sha256="x"), *OLD[1:]], "1 clip changed (a)"),
        ([replace(OLD[0], partner_sha256="x"), *OLD[1:]], "1 clip changed (a)"),
        ([replace(OLD[0], split="validation"), *OLD[1:]], "1 clip moved to another split (a)"),
        ([replace(OLD[0], split="test"), *OLD[1:]], "1 clip removed (a)"),
        (
            [clip("f"), replace(OLD[1], sha256="x"), *OLD[2:]],
            "1 clip added (f), 1 clip removed (a), 1 clip changed (b)",
        ),
        ([OLD[1], OLD[0], *OLD[2:]], "labels, or the order of clips"),
    ],
)
def test_differences_are_counted_and_named(tmp_path, entries, wanted):
    """Clips of the test split are none of it: no training reads them."""
    assert told(tmp_path, entries) == wanted


@pytest.mark.parametrize(("count", "shown"), [(3, "(f0, f1, f2)"), (4, "(f0, f1, f2, …)")])
def test_three_clips_are_named_and_the_others_counted(tmp_path, count, shown):
    assert told(tmp_path, [*OLD, *(clip(f"f{i}") for i in range(count))]) == f"{count} clips added {shown}"


@pytest.mark.parametrize(
    ("before", "now", "wanted"),
    [
        (OLD, OLD[1:], "train 3 -> 2 clips, validation 1 -> 1 clips"),
        (OLD, OLD[:3], "train 3 -> 3 clips, validation 1 -> 0 clips"),
        (OLD[:3], OLD, "train 3 -> 3 clips, validation 0 -> 1 clips"),
    ],
)
def test_without_the_list_the_numbers_of_clips_are_told(tmp_path, before, now, wanted):
    """Of a split that there is not they are 0."""
    assert difference(tmp_path, entry(packed(before).identity, 0), packed(now)) == wanted


def test_a_list_is_written_once_and_again_where_it_is_damaged(tmp_path):
    note(tmp_path, packed(OLD))
    (path,) = (tmp_path / FOLDER).iterdir()
    whole, inode = path.read_text(), path.stat().st_ino
    assert whole.count("\n") == 4 and "hash of e" not in whole
    note(tmp_path, packed(OLD))
    assert path.stat().st_ino == inode
    for damaged in (whole.replace(", null]", "]"), whole[:-5]):
        path.write_text(damaged)
        note(tmp_path, packed(OLD))
        assert path.read_text() == whole
