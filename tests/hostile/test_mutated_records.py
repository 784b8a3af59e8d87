"""The small files of a finished experiment, spoilt in every way: the right result or a clear word, no traceback, no hang.

Some cases here; ``-m slow`` tries more. The seed is printed, and ``GANSEMBLE_SEED`` repeats it.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from gansemble.cli import main

SEED = int(os.environ.get("GANSEMBLE_SEED", str(time.time_ns() % 100_000)))
FEW, MANY = 25, 250
#: How long a command that only looks may take [s].
BOUND = 5.0
RECIPE = """\
audio: {sample_rate: 16000, n_fft: 256, hop: 64, window: 256, mels: 20, fmin: 0, fmax: null}
corpus: {use: folder, validation: 0.0, minimum_validation: 2}
data: {normalise: null}
generator: {use: vocos, dim: 8, hidden: 8, blocks: 1}
discriminators:
  mpd: {use: multi_period, periods: [2], channels: [3]}
objective: {use: lsgan}
metrics:
  snr: {use: snr}
plan: {steps: 2, batch_size: 2, segment: 512, log_every: 1, save_every: 1}
validation: {every: 2, clips: 1, audio: 0}
optimisers:
  generator: {use: adam, lr: 1e-3}
  discriminators: {use: adam, lr: 1e-3}
"""


def leaf(path: Path, source: random.Random, put: Callable[[random.Random], object]) -> bytes:
    """The file with one value, at any depth, replaced."""
    lines = path.read_text().split("\n") if path.suffix == ".jsonl" else [path.read_text()]
    chosen = source.choice([number for number, line in enumerate(lines) if line])
    value = json.loads(lines[chosen])
    places: list[tuple[object, object]] = []

    def walk(node: object) -> None:
        for key in node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
            places.append((node, key))
            walk(node[key])

    walk(value)
    if not places:
        return b"{}"
    node, key = source.choice(places)
    node[key] = put(source)  # type: ignore[index]
    lines[chosen] = json.dumps(value)
    return "\n".join(lines).encode()


WRONG: list[object] = [
    None,
    [],
    {},
    "x",
    "",
    -1,
    0,
    3.5,
    True,
    10**30,
    float("nan"),
    float("inf"),
    "\u2028\x00",
    [[[]]],
]
WAYS: dict[str, Callable[[Path, random.Random], bytes]] = {
    "truncated": lambda path, source: path.read_bytes()[: source.randrange(path.stat().st_size)],
    "emptied": lambda path, source: b"",
    "null": lambda path, source: b"null",
    "list": lambda path, source: b"[]",
    "object": lambda path, source: b"{}",
    "number": lambda path, source: b"7",
    "huge number": lambda path, source: b"9" * 5000,
    "NaN": lambda path, source: b"NaN",
    "deep": lambda path, source: b'{"a":' * 50_000,
    "deep lists": lambda path, source: b"[" * 50_000 + b"]" * 50_000,
    "UTF-16": lambda path, source: path.read_text().encode("utf-16"),
    "byte-order mark": lambda path, source: b"\xef\xbb\xbf" + path.read_bytes(),
    "not UTF-8": lambda path, source: bytes(source.randrange(128, 256) for _ in range(40)),
    "a flipped byte": lambda path, source: flipped(path.read_bytes(), source),
    "lines doubled": lambda path, source: path.read_bytes() * 2,
    "another value": lambda path, source: leaf(path, source, lambda chosen: chosen.choice(WRONG)),
    "another value of the kind": lambda path, source: leaf(
        path, source, lambda chosen: chosen.choice(["y", 5, {"z": 1}])
    ),
}


def flipped(content: bytes, source: random.Random) -> bytes:
    place = source.randrange(len(content))
    return content[:place] + bytes([content[place] ^ (1 << source.randrange(8))]) + content[place + 1 :]


class Experiment:
    """A finished experiment with its packed data."""

    def __init__(self, root: Path) -> None:
        self.root, self.exp, self.dump = root, root / "exp", root / "dump"

    def words(self, *words: str) -> list[str]:
        places = ["--exp", str(self.exp), "--dump", str(self.dump), "--data", str(self.root / "corpus")]
        return ["run", *words[:1], str(self.root / "conf" / "tiny.yaml"), *places, "--jobs", "1", *words[1:]]

    def files(self) -> list[Path]:
        found = [path for folder in (self.exp, self.dump) for path in sorted(folder.rglob("*.json*"))]
        return [path for path in found if path.is_file()]


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Experiment:
    root = tmp_path_factory.mktemp("records") / "whole"
    (root / "conf").mkdir(parents=True)
    (root / "conf" / "tiny.yaml").write_text(RECIPE)
    (root / "corpus").mkdir()
    for seed in range(5):
        noise = np.random.default_rng(seed).standard_normal(3000)
        soundfile.write(root / "corpus" / f"clip{seed}.wav", 0.1 * noise, 16000, subtype="PCM_16")
    made = Experiment(root)
    with pytest.raises(SystemExit) as left:
        main(made.words("--in-this-process"))
    assert not left.value.code
    for folder in (made.exp / ".lock", made.exp / ".lock-results", made.dump / ".lock"):  # of a process that is gone
        folder.mkdir()
        (folder / "owner.json").write_text(json.dumps({"host": os.uname().nodename, "pid": 2**22 + 1, "token": "t"}))
    (made.dump / ".reading").mkdir(exist_ok=True)
    (made.dump / ".reading" / "note.json").write_text(
        json.dumps({"host": os.uname().nodename, "pid": 2**22 + 1, "packs": []})
    )
    return made


def copied(finished: Experiment, target: Path) -> Experiment:
    shutil.copytree(finished.root, target, copy_function=shutil.copy2)
    return Experiment(target)


def spoil(path: Path, source: random.Random) -> str:
    way = source.choice([*WAYS, "a folder", "a pipe"])
    if way in WAYS:
        path.write_bytes(WAYS[way](path, source))
        return way
    path.unlink()
    path.mkdir() if way == "a folder" else os.mkfifo(path)
    return way


def command(capsys, words: list[str]) -> tuple[int, str]:
    with pytest.raises(SystemExit) as left:
        main(words)
    said = capsys.readouterr()
    return int(left.value.code or 0), said.out + said.err


def case(finished: Experiment, capsys, caplog, tmp_path: Path, number: int, resumes: bool) -> None:
    source = random.Random(SEED * 1000 + number)
    made = copied(finished, tmp_path / f"case-{number}")
    path = source.choice(made.files())
    if path.name == "owner.json" and path.parent.name.startswith(".lock"):
        path = source.choice(made.files())  # seldom: a lock without a name is waited for
    lock = path.name == "owner.json"
    what = f"GANSEMBLE_SEED={SEED}, case {number}: {path.relative_to(made.root)}: {spoil(path, source)}"
    print(what)
    looking = [["status", str(made.exp)], made.words("--dry-run"), ["status", str(made.exp), "--json"]]
    for words in looking:
        begun = time.monotonic()
        status, said = command(capsys, words)
        assert time.monotonic() - begun < BOUND, f"{what}: {words}"
        assert status in (0, 1) and "Traceback" not in said, f"{what}\n{words}\n{said}"
        assert status == 0 or path.name in said, f"{what}\n{words}\n{said}"
    if lock:
        return
    stages = ["--in-this-process"] if resumes else ["--in-this-process", "--stage", "report"]
    caplog.clear()
    status, said = command(capsys, made.words(*stages))
    assert status in (0, 1) and "Traceback" not in said, f"{what}\n{said}"
    if status:
        # An object without entries is a record of nothing done.
        known = "object" in what and "has not been done" in said
        assert known or path.name in said or path.parent.name in said, f"{what}\n{said}"
    elif resumes:
        begun = made.exp / "scores" / "scores.jsonl"
        assert begun.read_text() == (finished.exp / "scores" / "scores.jsonl").read_text(), what
        status, said = command(capsys, made.words("--dry-run"))
        assert status == 0 and said.count("up to date") == 7, f"{what}\n{said}"


@pytest.mark.parametrize("number", range(FEW))
def test_a_spoilt_file_is_named_or_made_again(finished, capsys, caplog, tmp_path, number):
    case(finished, capsys, caplog, tmp_path, number, resumes=False)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(FEW, MANY))
def test_all_stages_go_on_over_a_spoilt_file_or_say_which(finished, capsys, caplog, tmp_path, number):
    case(finished, capsys, caplog, tmp_path, number, resumes=True)
