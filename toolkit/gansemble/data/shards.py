"""Shards: parts of a corpus that jobs on different machines pack, and that are put together without packing again."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gansemble.data import augmented, doctor, manifest
from gansemble.data import facts as data_facts
from gansemble.data.findings import AudioFinding
from gansemble.data.growth import STORED, Kept
from gansemble.data.manifest import MANIFEST, Clip, ManifestEntry, SignalPlace
from gansemble.data.pack import PackedCorpus
from gansemble.data.verification import wrong_clips
from gansemble.errors import DataError, FolderInUse
from gansemble.files import write_atomically
from gansemble.recipe.schema import Recipe
from gansemble.recipe.sections import OF_PLACE
from gansemble.stages import corpus_files, json_files
from gansemble.stages.locks import FolderLock

#: File of a shard: size, times and hash of every source file that it was packed from.
SHARD_SOURCES = "sources.jsonl"
#: File of a shard, written last: a hash over the recipe keys that decide its content and over the corpus' files.
MADE_FROM = "made-from"
#: File of a shard: size and time of modification of each of its packs when they were complete.
WRITTEN = "written.json"
SHARD_FILES = (MANIFEST, MADE_FROM, "doctor.json", "facts.json", STORED, SHARD_SOURCES, WRITTEN)


@dataclass(frozen=True)
class MergedShards:
    """All shards of one division together.

    Args:
        packed: clips with their places in the shards' packs, and hashes of the corpus' files.
        findings: of the data doctor over all clips; copies and leakage between shards can be found only now.
        facts: measurements of all clips' files.
    """

    packed: PackedCorpus
    findings: list[AudioFinding]
    facts: list[data_facts.Facts]


def folder_of(dump: Path, shard: tuple[int, int]) -> Path:
    """The folder that shard (i, n), the i-th of n counted from 1, is packed in."""
    return dump / "shards" / f"{shard[0]}-of-{shard[1]}"


def merged(
    recipe: Recipe,
    folder: Path,
    dump: Path,
    files: Mapping[str, corpus_files.CorpusFile],
    clips: Sequence[Clip],
    stays: Kept,
    say: Callable[[str], None],
) -> MergedShards | None:
    """Merges the shards of one division, if all are complete and made from the present files and recipe; else None.

    They hold either all clips or, of a corpus that has grown, those that were not packed before.

    Args:
        recipe: whose corpus was packed.
        folder, dump: of the corpus, and of the packed data.
        files: the corpus' files as they are now.
        clips: as the corpus lists them.
        stays: what was packed before and stays as it is.
        say: called with each line for the user.

    Raises:
        DataError: if a pack does not hold what its shard's manifest says.
    """
    made_from = _made_from(recipe, files)
    there = sorted(path.name for path in (dump / "shards").glob("*-of-*"))
    for first in sorted((dump / "shards").glob("1-of-*")):
        total = int(first.name.partition("-of-")[2])
        found = [folder_of(dump, (number, total)) for number in range(1, total + 1)]
        if not all((shard / MADE_FROM).is_file() for shard in found):
            continue
        sources = _sources_of(found)
        if any((shard / MADE_FROM).read_text() != made_from for shard in found) or sources is None:
            continue
        if any(path not in files or not corpus_files.same(was, files[path], folder) for path, was in sources.items()):
            continue  # it is another file, though its size and time are as they were
        # Each shard was examined by itself: copies and leakage between shards can be found only now.
        known = [fact for shard in found for fact in data_facts.read(shard / "facts.json", f"pack {shard.name} again")]
        listed, packed_now = {clip.id for clip in clips}, {fact.id for fact in known}
        if packed_now == listed:
            stays = Kept()
        elif packed_now != listed - stays.ids:
            continue  # the corpus lists other clips of the same files now
        entries = _entries(dump, found)
        say(f"put {total} shards together")
        known = _in_order([*stays.facts, *known], clips) if stays.facts else known
        findings = doctor.judge(known, clips, sample_rate=recipe.audio.sample_rate, segment=recipe.plan.segment)
        hashes = {path: found.sha256 for path, found in sources.items() if found.sha256 is not None}
        augmented.demand_distinct(entries)
        augmented.told(entries, augmented.Tally(), augmented.Augmentations(), say)
        measured = [fact for shard in found for fact in data_facts.read(shard / STORED, f"pack {shard.name} again")]
        packed = PackedCorpus(_as_scanned(entries, clips), hashes, measured=measured)
        return MergedShards(stays.with_new(packed, clips), findings, known)
    if there and not stays.entries:
        say(
            f"the shards in {dump / 'shards'} ({', '.join(there)}) are not all of one division, or were packed from other "
            "files, clips or another recipe than now; everything is packed here instead"
        )
    return None


def _entries(dump: Path, folders: Sequence[Path]) -> list[ManifestEntry]:
    """The clips of all shards with their places; a DataError if a pack that changed since does not hold them."""
    entries = [_placed(e, f"shards/{shard.name}") for shard in folders for e in manifest.read(shard / MANIFEST)]
    sound = _as_written(folders)
    wrong = wrong_clips(dump, [entry for entry in entries if not manifest.packs([entry]) <= sound])
    if wrong:
        raise DataError(
            f"{dump}/shards: {len(wrong)} packed clips are not what their shards' manifests say, such as "
            f"{wrong[0].id} in {wrong[0].pack}; pack that shard again, or delete {dump}/shards"
        )
    return entries


def _as_written(folders: Sequence[Path]) -> set[str]:
    """Names of the shards' packs that are as their jobs left them, by size and time, so that they need not be read again."""
    found = set()
    for folder in folders:
        try:
            known = json_files.read(folder / WRITTEN, dict[str, tuple[int, int]], "its packs are read again")
        except DataError:
            continue
        found |= {f"shards/{folder.name}/{name}" for name, stamp in known.items() if _stamp(folder / name) == stamp}
    return found


def _stamp(path: Path) -> tuple[int, int] | None:
    """Size and time of modification of a file; None where it cannot be seen."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return (facts.st_size, facts.st_mtime_ns)


def _in_order(facts: Sequence[data_facts.Facts], clips: Sequence[Clip]) -> list[data_facts.Facts]:
    by_id = {fact.id: fact for fact in facts}
    return [by_id[clip.id] for clip in clips if clip.id in by_id]


def _placed(entry: ManifestEntry, folder: str) -> ManifestEntry:
    """An entry of a shard with its packs' names relative to the folder of all packed data."""
    signals: dict[str, SignalPlace] = {
        name: {**place, "pack": f"{folder}/{place['pack']}"} for name, place in entry.signals.items()
    }
    return dataclasses.replace(entry, pack=f"{folder}/{entry.pack}", signals=signals)


def _sources_of(folders: Sequence[Path]) -> dict[str, corpus_files.CorpusFile] | None:
    """The source files of all shards as they were when they were packed; None where a shard has no such list."""
    found: dict[str, corpus_files.CorpusFile] = {}
    for folder in folders:
        known = corpus_files.recorded(folder / SHARD_SOURCES)
        if known is None:
            return None
        found |= known
    return found


def _as_scanned(entries: Sequence[ManifestEntry], clips: Sequence[Clip]) -> list[ManifestEntry]:
    """Sorted in the corpus' order, so that data packed in shards have the same identity as those packed at once."""
    place = {clip.id: number for number, clip in enumerate(clips)}
    # A stable sort by the place of the clip, so that variants stay behind theirs.
    return sorted(entries, key=lambda entry: place.get(entry.original or entry.id, len(place)))


def finish(
    recipe: Recipe, folder: Path, target: Path, files: Mapping[str, corpus_files.CorpusFile], packed: PackedCorpus
) -> Path:
    """Writes the manifest of a shard and what it was made from, after which it counts as complete."""
    own = {path: files[path] for path in packed.hashes}
    corpus_files.record(target / SHARD_SOURCES, folder, own, packed.hashes)
    manifest.write(target / MANIFEST, packed.entries)
    written = {name: _stamp(target / name) for name in sorted(manifest.packs(packed.entries))}
    json_files.write(target / WRITTEN, written)
    write_atomically(target / MADE_FROM, _made_from(recipe, files))
    return target / MANIFEST


def clear(target: Path) -> None:
    """Deletes what interrupted runs left, which the lock makes safe; a shard counts as incomplete until packed."""
    for left in (*target.glob(".audio.*.part"), *target.glob(".signals.*.part"), target / MADE_FROM):
        left.unlink(missing_ok=True)


def delete(shard: Path) -> None:
    """Deletes the files of a shard, unless a job is writing it now; files of others in its folder stay."""
    try:
        with FolderLock(shard, work="deleting a shard"):
            for name in SHARD_FILES:
                (shard / name).unlink(missing_ok=True)
    except FolderInUse:
        return
    with contextlib.suppress(OSError):
        shard.rmdir()  # unless somebody else put something there


def _made_from(recipe: Recipe, files: Mapping[str, corpus_files.CorpusFile]) -> str:
    """A hash over everything that decides what a shard holds: recipe keys, and the corpus' files."""
    from gansemble.recipe.fill import fill

    filled = fill(recipe)
    fingerprint = corpus_files.fingerprint(files)
    policies = dataclasses.asdict(recipe.data)
    for key in ("label", *OF_PLACE):  # applied when clips are read, or where they lie
        del policies[key]
    facts = [filled["corpus"], policies, recipe.audio.sample_rate, recipe.plan.segment, fingerprint]
    facts += [filled["augmentations"]] if filled["augmentations"] else []
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
