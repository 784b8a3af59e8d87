"""Audio files that were cut, overwritten or joined are read right, or refused with both lengths; never less without a word."""

from __future__ import annotations

import logging
import os
import random
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import audio_mutations

from gansemble.audio.reader import AudioFault, AudioReader
from gansemble.data.doctor import examine_file

SEED = int(os.environ.get("GANSEMBLE_SEED", "20261129"))
#: A frame of a lossy format [samples], the most that may be lost at the end.
FRAME = 1152
MOST_SECONDS = 5.0


@pytest.fixture(scope="module")
def whole() -> dict[str, bytes]:
    return {kind: audio_mutations.original(kind) for kind in audio_mutations.KINDS}


def length(path: Path) -> int:
    with AudioReader(path) as reader:
        return sum(map(len, reader.blocks()))


@pytest.mark.parametrize("kind", audio_mutations.KINDS)
def test_a_whole_file_is_read_without_a_remark(tmp_path, whole, kind, caplog):
    path = tmp_path / f"whole.{kind}"
    path.write_bytes(whole[kind])
    with AudioReader(path) as reader:
        assert sum(map(len, reader.blocks())) == reader.stated == len(audio_mutations.sound())
        reader.warn()
    fact = examine_file(path, "whole")
    assert (fact.error, fact.remark, caplog.records) == (None, "", [])


def check(folder: Path, whole: dict[str, bytes], seed: int, count: int) -> dict[str, int]:
    """Reads ``count`` changed files and returns how often each came of it."""
    rng, came = random.Random(seed), dict.fromkeys(("read", "remarked", "refused"), 0)
    full = len(audio_mutations.sound())
    for number in range(count):
        kind = rng.choice(list(whole))
        made = audio_mutations.mutate(kind, whole[kind], rng)
        path = folder / f"changed.{kind}"
        path.write_bytes(made.content)
        name, begun = f"seed {seed}, file {number}: {kind}, {made.name}", time.monotonic()
        fact = examine_file(path, "changed")
        assert time.monotonic() - begun < MOST_SECONDS, name
        try:
            with AudioReader(path) as reader:
                found = sum(map(len, reader.blocks()))
                came["remarked" if reader.remark else "read"] += 1
                assert (fact.error, fact.frames, fact.remark) == (None, found, reader.remark), name
                assert not made.loses or reader.remark or found >= full - FRAME, f"{name}: {found} of {full}"
                assert not (made.loses and made.added) or reader.remark or found > full, f"{name}: {found} of {full}"
        except AudioFault as fault:
            came["refused"] += 1
            assert fact.error == fault.code and str(path) in str(fault), name
    return came


def test_a_changed_file_is_read_whole_remarked_or_refused(tmp_path, whole):
    came = check(tmp_path, whole, SEED, 400)
    assert min(came.values()) > 20, came


@pytest.mark.slow
def test_two_thousand_changed_files(tmp_path, whole):
    print(f"seed {SEED}:", check(tmp_path, whole, SEED + 1, int(os.environ.get("GANSEMBLE_FILES", "2000"))))


def test_what_is_odd_is_said_once(tmp_path, whole, caplog):
    path = tmp_path / "odd.wav"
    path.write_bytes(whole["wav"] + b"made by a recorder ")
    with caplog.at_level(logging.WARNING), AudioReader(path) as reader:
        reader.warn()
    assert [record.getMessage() for record in caplog.records] == [f"{path}: 19 bytes that are no audio follow its end"]
