"""A corpus of a million clips in packs of ten gigabytes: how a training on it starts, what its workers hold, and crops per second.

The packs are files with nothing in them, so that 220 GB take no room; what is measured is the manifest, its index and the way to
a crop. Each row is of a process of its own. Processor time is given beside wall time, as it does not depend on who else works.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.timing import line
from gansemble.data.index import KEPT

CLIPS, ONE_PACK = 1_000_000, 13_100
SECONDS, RATE = 5, 22050
FRAMES = SECONDS * RATE
PACK_BYTES = 10_000_000_000
SPEAKERS, CROPS, STEPS, ROUNDS = 500, 12_000, 200, 5
RECIPE = """
audio: {sample_rate: 22050}
corpus: {use: folder}
generator: {use: vocos}
losses: {mel: {use: mel_l1}}
metrics: {mel_distance: {use: mel_distance}}
optimisers: {generator: {use: adamw}}
data: {label: speaker}
plan: {segment: 8192, batch_size: 16, workers: 2}
validation: {clips: 2}
"""


def run(clips: int = CLIPS) -> Iterator[str]:
    """Rows for ``python -m benchmarks``."""
    with tempfile.TemporaryDirectory() as folder:
        large, small = Path(folder) / "large", Path(folder) / "small"
        written, _ = _process("written", large, clips), _process("written", small, ONE_PACK)
        yield line(
            "writing the manifest and its index", written["seconds"], "s", f"{written['cpu']:.1f} s of a processor"
        )
        yield line(
            "the index on the disk",
            written["index"] / 1e6,
            "MB",
            f"beside {written['manifest'] / 1e6:.0f} MB of manifest",
        )
        lines = _process("loaded", large, lines=1)
        yield line(
            "reading the lines alone, without an index", lines["seconds"], "s", f"{lines['cpu']:.1f} s of a processor"
        )
        loaded = _process("loaded", large)
        yield line("reading the manifest by its index", loaded["seconds"], "s", f"{loaded['cpu']:.1f} s of a processor")
        one, all_ = _process("started", small), _process("started", large)
        for name, found in ((f"{ONE_PACK:,} clips", one), (f"{clips:,} clips", all_)):
            told = f"{found['cpu']:.1f} s of a processor; asked: under 10 s" if found is all_ else ""
            yield line(f"from the recipe to the first batch, {name}", found["seconds"], "s", told)
        for what in ("rss", "pss"):
            more = all_[what] - one[what]
            yield line(
                f"a worker's memory ({what}), more than with {ONE_PACK:,} clips", more / 1e6, "MB", "asked: at most 300"
            )
        crops = _process("crops", large, other=str(small))
        yield line("crops per second, of those with one pack", crops["ratio"], "x", "asked: at least 0.9")
        yield line("crops per second of a processor", crops["crops"], "/s", "8192 samples, in batches of 16")


def _process(what: str, folder: Path, clips: int = 0, lines: int = 0, other: str = "") -> dict[str, float]:
    """Measures one thing in a process of its own."""
    words = [sys.executable, "-m", "benchmarks.million", what, str(folder), str(clips or lines), other]
    return dict(json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()[-1]))


def _timed(begun: tuple[float, float]) -> dict[str, float]:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    return {"seconds": time.perf_counter() - begun[0], "cpu": cpu - begun[1]}


def _now() -> tuple[float, float]:
    own = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter(), own.ru_utime + own.ru_stime


def written(folder: Path, clips: int) -> dict[str, float]:
    """Writes a dump of so many clips."""
    from gansemble.data import manifest
    from gansemble.data.manifest import ManifestEntry

    folder.mkdir()
    each = PACK_BYTES // (2 * FRAMES)
    facts = (RATE, FRAMES, 1, RATE)
    entries = []
    for number in range(clips):
        speaker = f"p{number % SPEAKERS:03d}"
        name, split = f"{speaker}/clip-{number:07d}", "train" if number % 1000 else "validation"
        digest = hashlib.sha256(name.encode()).hexdigest()
        labels = {"speaker": speaker}
        pack = f"audio-{number // each:016x}.i16"
        place = (number % each) * FRAMES
        entries.append(ManifestEntry(name, f"{name}.wav", split, *facts, place, 0.5, digest, labels, pack))
    for pack in {entry.pack for entry in entries}:
        with (folder / pack).open("wb") as stream:
            stream.truncate(2 * FRAMES * each)
    begun = _now()
    manifest.write(folder / manifest.MANIFEST, entries)
    index = sum(path.stat().st_size for path in folder.glob("*.index"))
    return _timed(begun) | {"index": index, "manifest": (folder / manifest.MANIFEST).stat().st_size}


def loaded(folder: Path, lines: int) -> dict[str, float]:
    """Loads a manifest, or reads its lines as if it had no index."""
    from gansemble.data import manifest

    (index,) = folder.glob("*.index")
    hidden = folder / "hidden"
    if lines:
        index.rename(hidden)
    begun = _now()
    manifest.load(folder / manifest.MANIFEST)
    found = _timed(begun)
    if lines:
        hidden.rename(index)
    return found


def started(folder: Path, _: int) -> dict[str, float]:
    """What ``gansemble train`` does before its first step, and what its first worker holds then."""
    begun = _now()
    import torch

    from gansemble.data import trained_on
    from gansemble.data.prepare import check_segment, check_splits
    from gansemble.recipe import check
    from gansemble.training.batches import batches
    from gansemble.training.components import Components
    from gansemble.training.schedule import TrainingSchedule

    torch.set_num_threads(1)
    place = folder.with_name(f"{folder.name}.yaml")
    place.write_text(RECIPE)
    recipe = check.load(place)
    check_segment(recipe, folder)
    check_splits(recipe, folder)
    run = Components.build(recipe, folder.with_name(f"{folder.name}-exp"), folder)
    trained_on.note(run.exp, run.clips.manifest)
    steps = batches(run, TrainingSchedule(run.plan, len(run.clips)), 0, STEPS)
    next(steps)
    found = _timed(begun)
    for _ in range(STEPS - 1):
        next(steps)
        if _ == STEPS // 2:
            found |= _memory()
    return found


def _memory() -> dict[str, float]:
    """Memory of the worker process that holds most [bytes]: with shared pages, and with a share of these."""
    me = os.getpid()
    workers = Path(f"/proc/{me}/task/{me}/children").read_text().split()
    found = {"rss": 0.0, "pss": 0.0}
    for worker in workers:
        for row in Path(f"/proc/{worker}/smaps_rollup").read_text().splitlines():
            name = row.partition(":")[0].lower()
            if name in found:
                found[name] = max(found[name], 1024.0 * int(row.split()[1]))
    return found


def crops(folder: Path, other: str) -> dict[str, float]:
    """Crops from many packs against crops from one, in turn, in time of the processor.

    All crops are in the system's memory, as this is not about disks. Each round has the entries of the million clips
    made anew; of the small corpus all are known.
    """
    import torch

    from gansemble.data.labels import Labels
    from gansemble.data.packed import Packed
    from gansemble.data.segments import Segments, collate

    taken: dict[Path, list[float]] = {folder: [], Path(other): []}
    counts = {}
    for round_ in range(1 + ROUNDS):
        for place, times in taken.items():
            packed = Packed(place, "train", 0.95)
            names = tuple(f"p{number:03d}" for number in range(SPEAKERS))
            segments = Segments(packed, 8192, 0, Labels(None, "speaker", names))
            order = torch.randperm(len(packed), generator=torch.Generator().manual_seed(0))[:CROPS].tolist()
            if len(packed) <= KEPT:
                list(
                    map(packed.entries.__getitem__, order)
                )  # a small corpus' entries stay known from its first epoch on
            counts[place] = len(order) // 16 * 16
            begun = time.process_time()
            for first in range(0, counts[place], 16):
                collate([segments[0, index] for index in order[first : first + 16]])
            if round_:
                times.append((time.process_time() - begun) / counts[place])
    many, one = (statistics.median(times) for times in taken.values())
    return {"ratio": one / many, "crops": 1 / many}


if __name__ == "__main__":
    do, at, number, against = sys.argv[1:]
    ways = {"written": written, "loaded": loaded, "started": started}
    print(json.dumps(crops(Path(at), against) if do == "crops" else ways[do](Path(at), int(number))))
