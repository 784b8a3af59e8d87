"""Tables and lists of corpora, mutated: the same clips, an error that names the file, or a difference that is stated.

The seed is printed, and ``GANSEMBLE_SEED`` repeats it. Files of sound are empty: corpora list them without opening them.
"""

import gzip
import json
import os
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from gansemble.errors import DataError
from gansemble_plugins.corpora.common_voice import CommonVoice
from gansemble_plugins.corpora.esc50 import CLASSES, ESC50
from gansemble_plugins.corpora.ljspeech import LJSpeech
from gansemble_plugins.corpora.nsynth import NSynth
from gansemble_plugins.corpora.sc09 import SC09
from gansemble_plugins.corpora.urbansound8k import CLASSES as CITY
from gansemble_plugins.corpora.urbansound8k import UrbanSound8K

SEED = int(os.environ.get("GANSEMBLE_SEED", str(time.time_ns() % 100_000)))
LONGEST = 5.0  # seconds that a listing may take
#: What a description says where clips that were listed are not used.
STATED = re.compile(r"without a file|have no file|left out|of other words")


def touch(folder: Path, names) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def write(path: Path, lines) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def ljspeech(folder: Path) -> None:
    ids = [f"LJ001-{number:04d}" for number in range(1, 17)]
    touch(folder, [f"wavs/{id_}.wav" for id_ in ids])
    write(folder / "metadata.csv", [f'{id_}|Printing, "é" — {id_}|Printing' for id_ in ids])


def esc50(folder: Path) -> None:
    rows = []
    for fold in range(1, 6):
        for target in (0, 2, 40):
            name = f"{fold}-{1000 + 10 * target + fold}-A-{target}.wav"
            touch(folder, [f"audio/{name}"])
            rows.append(f"{name},{fold},{target},{CLASSES[target]},{target < 12},{1000 + 10 * target + fold},A,é")
    write(folder / "meta/esc50.csv", ["filename,fold,target,category,esc10,src_file,take,note", *rows])


def city(folder: Path) -> None:
    rows = []
    for fold in range(1, 11):
        for label in (1, 3):
            name = f"{700 + 10 * label + fold}-{label}-0-0.wav"
            touch(folder, [f"audio/fold{fold}/{name}"])
            rows.append(f'{name},{700 + 10 * label + fold},0.0,4.0,1,{fold},{label},{CITY[label]},"a, é"')
    header = "slice_file_name,fsID,start,end,salience,fold,classID,class,note"
    write(folder / "metadata/UrbanSound8K.csv", [header, *rows])


def voices(folder: Path) -> None:
    for list_, speakers in (("train", "ab"), ("dev", "c"), ("test", "d")):
        rows = [f'{one * 8}\t{one}{number}.mp3\tÜ "so\t' for one in speakers for number in range(5)]
        touch(folder, [f"clips/{one}{number}.mp3" for one in speakers for number in range(5)])
        write(folder / f"{list_}.tsv", ["client_id\tpath\tsentence\tgender", *rows])


def notes(folder: Path) -> None:
    facts, rows = {}, ["id,split"]
    for number in range(12):
        id_ = f"flute_acoustic_{number:03d}-{50 + number:03d}-100"
        facts[id_] = {"note_str": id_, "pitch": 50 + number, "velocity": 100, "instrument_source": 0, "é": "é"}
        rows.append(f"{id_},{('train', 'valid', 'test')[number % 3]}")
        touch(folder, [f"nsynth-train/audio/{id_}.wav"])
    path = folder / "nsynth-train/examples.json"
    path.write_text(json.dumps(facts, indent=1, ensure_ascii=False), encoding="utf-8")
    write(folder / "nsynth-gansynth_splits.csv", rows)


def digits(folder: Path) -> None:
    names = [f"{word}/{number:08x}_nohash_0.wav" for word in ("one", "nine") for number in range(9)]
    touch(folder, names)
    write(folder / "validation_list.txt", names[:9:3])
    write(folder / "testing_list.txt", names[10::3])


@dataclass(frozen=True)
class Case:
    """A table of a corpus, and how many of its clips it tells of."""

    corpus: Callable
    build: Callable[[Path], None]
    table: str
    clips: Callable[[list], int]
    header: bool

    def listed(self, data: bytes) -> int:
        """How many clips a mutated table lists, counted without the reader under test."""
        text = data.decode("utf-8", "replace")
        if self.table.endswith(".json"):
            return len(json.loads(text))
        rows = [line for line in re.split(r"\r\n|\r|\n", text) if line.strip(" \t\x0b\x0c\x1a\ufeff")]
        return len(rows) - self.header


def of_split(*splits: str) -> Callable[[list], int]:
    return lambda clips: sum(clip.split in splits for clip in clips)


EVERY = of_split("train", "validation", "test")
CASES = {
    "ljspeech": Case(LJSpeech, ljspeech, "metadata.csv", EVERY, False),
    "esc50": Case(lambda: ESC50(classes=3), esc50, "meta/esc50.csv", EVERY, True),
    "urbansound8k": Case(UrbanSound8K, city, "metadata/UrbanSound8K.csv", EVERY, True),
    "common_voice": Case(CommonVoice, voices, "train.tsv", of_split("train"), True),
    "nsynth": Case(NSynth, notes, "nsynth-train/examples.json", EVERY, False),
    "nsynth_list": Case(NSynth, notes, "nsynth-gansynth_splits.csv", EVERY, True),
    "sc09": Case(SC09, digits, "validation_list.txt", of_split("validation"), False),
}
SPECIAL = (
    b'"',
    b"\0",
    b"\xe9",
    b"\xff",
    b"\r",
    b"\n",
    b"\t",
    b",",
    b"|",
    b"/",
    b"\\",
    b"\xe2\x80\xa8",
    b"\xef\xbb\xbf",
    b" ",
)


def mutated(data: bytes, draw: random.Random) -> tuple[str, bytes]:
    """(what was done, the new content)."""
    place, end = sorted((draw.randrange(len(data) + 1), draw.randrange(len(data) + 1)))
    lines = data.split(b"\n")
    one, other = draw.randrange(len(lines) - 1), draw.randrange(len(lines) - 1)
    kind = draw.choice(KINDS)
    if kind == "flip":
        place = min(place, len(data) - 1)
        return kind, data[:place] + bytes([data[place] ^ (1 << draw.randrange(8))]) + data[place + 1 :]
    if kind == "special":
        return kind, data[:place] + draw.choice(SPECIAL) + data[place:]
    if kind == "cut out":
        return kind, data[:place] + data[min(end, place + draw.randrange(40)) :]
    if kind == "noise":
        return kind, data[:place] + draw.randbytes(draw.randrange(1, 30)) + data[end:]
    if kind == "end":
        return kind, data[:place]
    if kind == "line twice":
        return kind, b"\n".join([*lines[:one], lines[other], *lines[one:]])
    if kind == "line out":
        return kind, b"\n".join([*lines[:one], *lines[one + 1 :]])
    if kind == "two quotation marks":
        return kind, b"\n".join(b'"' + line if number in (one, other) else line for number, line in enumerate(lines))
    if kind == "spaces":
        return kind, b"\n".join(b" " + line + b"  " if number == one else line for number, line in enumerate(lines))
    text = data.decode()
    whole = {
        "latin-1": lambda: text.encode("latin-1", "replace"),
        "cp1252": lambda: text.encode("cp1252", "replace"),
        "utf-16-be": lambda: text.encode("utf-16-be"),
        "twice encoded": lambda: text.encode().decode("latin-1").encode(),
        "gzip": lambda: gzip.compress(data)[:place],
        "huge line": lambda: data[:place] + b"x" * 2_000_000 + data[place:],
        "deep": lambda: b'{"a":[' * 50_000,
        "only noise": lambda: draw.randbytes(500),
    }
    return kind, whole[kind]()


KINDS = (
    *("flip", "special", "cut out", "noise", "end", "line twice", "line out", "two quotation marks", "spaces"),
    *("latin-1", "cp1252", "utf-16-be", "twice encoded", "gzip", "huge line", "deep", "only noise"),
)


def examined(case: Case, folder: Path, content: bytes) -> tuple[list, str] | None:
    """(clips, description) with another content of the table; None where it is refused by an error that names the place."""
    corpus, path = case.corpus(), folder / case.table
    path.write_bytes(content)
    began = time.monotonic()
    try:
        return corpus.scan(folder), corpus.describe(folder)
    except DataError as error:
        assert str(folder) in str(error), f"names no place: {error}"
        assert len(str(error)) < 2000
        return None
    finally:
        assert time.monotonic() - began < LONGEST


def attack(case: Case, folder: Path, count: int, seed: int) -> None:
    case.build(folder)
    original = (folder / case.table).read_bytes()
    before = case.corpus().scan(folder)
    assert not STATED.search(case.corpus().describe(folder))
    split_before = {clip.id: clip.split for clip in before}
    for number in range(count):
        draw = random.Random(f"{seed} {case.table} {number}")
        kind, content = mutated(original, draw)
        try:
            found = examined(case, folder, content)
            if found is None:
                continue
            clips, said = found
            if {clip.id: clip.split for clip in clips} == split_before or STATED.search(said):
                continue
            assert case.clips(clips) == case.listed(content), "a clip is lost and nothing says so"
        except Exception as error:
            pytest.fail(
                f"GANSEMBLE_SEED={seed}, case {number}, {kind}: {type(error).__name__}: {error}\n{content[:2000]!r}"
            )


@pytest.mark.parametrize("name", CASES)
def test_a_mutated_table_gives_the_same_clips_an_error_or_a_stated_difference(tmp_path, name):
    print(f"GANSEMBLE_SEED={SEED}")
    attack(CASES[name], tmp_path, 30, SEED)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_five_hundred_mutated_tables_give_the_same_clips_an_error_or_a_stated_difference(tmp_path, name):
    print(f"GANSEMBLE_SEED={SEED + 1}")
    attack(CASES[name], tmp_path, 500, SEED + 1)


@pytest.mark.parametrize("name", CASES)
def test_a_table_saved_by_another_system_gives_the_same_clips(tmp_path, name):
    case = CASES[name]
    case.build(tmp_path)
    text = (tmp_path / case.table).read_text(encoding="utf-8")
    before = case.corpus().scan(tmp_path)
    for content in (
        text.encode("utf-8-sig"),
        text.encode("utf-16"),
        ("\ufeff" + text).encode("utf-16-be"),
        text.replace("\n", "\r\n").encode(),
        text.replace("\n", "\r").encode(),
        text.replace("\n", "\r\r\n").encode(),
        (text + "\n \n\n").encode(),
        text.rstrip("\n").encode(),
        text.replace("\n", "\r\n").encode("utf-16"),
    ):
        found = examined(case, tmp_path, content)
        assert found is not None and found[0] == before, content[:60]


@pytest.mark.parametrize("name", CASES)
def test_something_else_in_place_of_a_table_is_an_error_that_says_so(tmp_path, name):
    case = CASES[name]
    case.build(tmp_path)
    path = tmp_path / case.table
    path.unlink()
    for make in (lambda: os.mkfifo(path), path.mkdir):
        make()
        with pytest.raises(DataError):
            case.corpus().scan(tmp_path)
        path.rmdir() if path.is_dir() else path.unlink()
