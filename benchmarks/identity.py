"""What it costs that packed data are identified: at the start of a training, and while a corpus is packed."""

import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile

from gansemble.data import manifest, trained_on
from gansemble.data.manifest import ManifestEntry
from gansemble.data.verification import verify, wrong_clips
from gansemble.files import sha256
from gansemble.recipe import check
from gansemble.stages import corpus_files

ENTRIES, FRAMES = 100_000, 64
CLIPS = 500
RECIPE = """
audio: {sample_rate: 22050}
corpus: {use: folder}
generator: {use: vocos}
losses: {mel: {use: mel_l1}}
metrics: {mel_distance: {use: mel_distance}}
optimisers: {generator: {use: adamw}}
"""


def timed(function: Callable[[], object]) -> float:
    """The least of three times [s]."""
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        function()
        times.append(time.perf_counter() - begun)
    return min(times)


def run() -> Iterator[str]:
    """Rows for ``python -m benchmarks``."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _start(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        yield from _packing(Path(folder))


def _start(folder: Path) -> Iterator[str]:
    """A manifest of many short clips: reading its lines alone, and all that a training does before its first step."""
    silence = hashlib.sha256(bytes(2 * FRAMES)).hexdigest()
    facts = (22050, FRAMES, 1, 22050)
    entries = [
        ManifestEntry(f"clip-{n:06d}", f"audio/clip-{n:06d}.wav", "train", *facts, n * FRAMES, 0.5, silence)
        for n in range(ENTRIES)
    ]
    (folder / "audio.i16").write_bytes(bytes(2 * FRAMES * ENTRIES))
    path = folder / "manifest.jsonl"
    manifest.write(path, entries)

    def lines() -> list[ManifestEntry]:
        return [ManifestEntry(**json.loads(line)) for line in path.read_text().split("\n")[1:] if line]

    def start() -> None:
        manifest._load.cache_clear()  # a training reads it once
        found = manifest.load(path)
        trained_on.key(found.identity)
        (folder / "exp").mkdir(exist_ok=True)
        for old in (folder / "exp").rglob("*.jsonl"):
            old.unlink()
        trained_on.note(folder / "exp", found)

    read, begun = timed(lines), timed(start)
    yield f"reading the lines of {ENTRIES:,} entries           {read:6.2f} s"
    yield f"what a training does with them before step 1   {begun:6.2f} s, {begun - read:+.2f} s (asked: less than 2 s more)"
    yield f"verifying them, beside the first steps         {timed(lambda: wrong_clips(folder, entries)):6.2f} s"
    verify(folder)
    yield f"being told that they were verified             {timed(lambda: verify(folder)):6.2f} s"


def _packing(folder: Path) -> Iterator[str]:
    """The share of preparing one-second clips that goes into hashing their files and listing them."""
    from gansemble.data import prepare

    corpus = folder / "corpus"
    corpus.mkdir()
    for number in range(CLIPS):
        noise = 0.1 * np.random.default_rng(number).standard_normal(22050)
        soundfile.write(corpus / f"clip{number:04d}.wav", noise, 22050, subtype="PCM_16")
    (folder / "r.yaml").write_text(RECIPE)
    recipe = check.load(folder / "r.yaml")
    whole = timed(lambda: prepare.prepare(recipe, corpus, folder / "dump", 1, lambda line: None))

    def identified() -> None:
        files = corpus_files.survey(corpus)
        hashes = {name: sha256(corpus / name) for name in files}
        corpus_files.record(folder / "sources.jsonl", corpus, files, hashes)

    part = timed(identified)
    yield f"preparing {CLIPS} clips of a second, one process      {whole:6.2f} s"
    yield f"of it hashing and listing their files          {100 * part / whole:6.1f} % (asked: at most 10 %)"
