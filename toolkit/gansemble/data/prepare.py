"""The fetch and prepare stages: download a corpus, examine its files, and pack them."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

from gansemble.abilities import DescribedCorpus, ProgressiveCorpus
from gansemble.data import augmented, doctor, manifest, pack, partners
from gansemble.data import facts as data_facts
from gansemble.data.augmented import Augmentations
from gansemble.data.findings import AudioFinding, report_lines
from gansemble.data.manifest import SPLITS, Clip, ManifestEntry
from gansemble.data.readers import in_use
from gansemble.data.verification import wrong_clips
from gansemble.errors import DataError, FolderInUse
from gansemble.files import write_atomically
from gansemble.recipe.schema import Recipe
from gansemble.stages import corpus_files
from gansemble.stages.ledger import SOURCES
from gansemble.stages.locks import FolderLock

if TYPE_CHECKING:
    from gansemble.interfaces import Corpus

MANIFEST = "manifest.jsonl"
#: File of a shard: size, times and hash of every source file that it was packed from.
SHARD_SOURCES = "sources.jsonl"
#: File of a shard, written last: a hash over the recipe keys that decide its content and over the corpus' files.
MADE_FROM = "made-from"
SHARD_FILES = (MANIFEST, MADE_FROM, "doctor.json", "facts.json", SHARD_SOURCES)
#: Names of packs that this module writes; when old packs are deleted, files of other names are left alone.
PACK = re.compile(r"audio-[0-9a-f]{16}\.i16")
#: Codes of findings that stop the preparation, each with the key of the ``data`` section that decides about it.
POLICIES = {
    "missing": "broken",
    "unreadable": "broken",
    "truncated": "broken",
    "empty": "broken",
    "non_finite": "broken",
    "wrong_rate": "rate",
    "channels": "channels",
    "short": "short",
}


def corpus_of(recipe: Recipe) -> Corpus:
    """Builds the corpus that the recipe names."""
    from gansemble.recipe.construct import construct

    return construct(recipe.single["corpus"], recipe)


def fetch(recipe: Recipe, folder: Path, progress: Callable[[int, int | None], None] | None = None) -> list[Clip]:
    """Downloads the recipe's corpus into ``folder`` unless it is there, and returns its clips. Corpora that support it
    call ``progress`` with (bytes done, bytes in total)."""
    corpus = corpus_of(recipe)
    if progress is not None and _tells_progress(corpus):
        corpus.fetch(folder, progress=progress)
    else:
        corpus.fetch(folder)
    return _scanned(recipe, corpus, folder)


def _tells_progress(corpus: Corpus) -> TypeGuard[ProgressiveCorpus]:
    """Whether a corpus' ``fetch`` takes ``progress``."""
    return "progress" in inspect.signature(corpus.fetch).parameters


def _scanned(recipe: Recipe, corpus: Corpus, folder: Path) -> list[Clip]:
    """The clips that a corpus lists; a DataError if it lists anything else."""
    found = list(corpus.scan(folder))
    clips = [clip for clip in found if isinstance(clip, Clip)]
    if len(clips) < len(found):
        wrong = next(type(each).__name__ for each in found if not isinstance(each, Clip))
        raise DataError(
            f"the corpus {recipe.single['corpus'].use} lists a {wrong}; its scan must give gansemble.data.manifest.Clip"
        )
    return clips


def prepare(
    recipe: Recipe,
    folder: Path,
    dump: Path,
    jobs: int,
    say: Callable[[str], None],
    shard: tuple[int, int] | None = None,
) -> Path:
    """Examines and packs a corpus below ``dump`` and returns the path of the manifest. The caller must hold its lock.

    Earlier packed data stay usable until the new manifest replaces the old one at the end.

    Args:
        folder, dump: of the corpus, and of the packed data.
        jobs: number of worker processes.
        shard: (i, n) packs only every n-th clip from the i-th on, counted from 1, for n jobs in parallel on different
            machines; a run without it then merges the shards.

    Raises:
        DataError: with the doctor's report, if files are not as the recipe expects and its ``data`` section does not
            say what to do; or if the corpus lists no clips or invalid ones.
    """
    corpus = corpus_of(recipe)
    files = corpus_files.survey(folder)  # before anything is read: what changes from now on counts as changed
    augmentations = Augmentations.of(recipe)
    clips = _scanned(recipe, corpus, folder)
    if not clips:
        raise DataError(f"{folder}: the corpus {recipe.single['corpus'].use} found no clip here; check --data")
    _demand_splits(recipe, clips)
    augmented.demand_fit(augmentations, clips)
    listed = [path for clip in clips for path in (clip.path, clip.partner) if path is not None]
    files |= corpus_files.survey(folder, [path for path in listed if path not in files], whole=False)
    if isinstance(corpus, DescribedCorpus):
        say(corpus.describe(folder))
    if shard is None:
        merged = _merged(recipe, folder, dump, files, clips, say)
        if merged is not None:
            path = _publish(dump, merged.entries, say)
            corpus_files.record(dump / SOURCES, folder, files, merged.hashes)
            return path
    else:
        clips = sorted(clips, key=lambda clip: clip.id)[shard[0] - 1 :: shard[1]]
    examined = doctor.examine(
        folder, clips, sample_rate=recipe.audio.sample_rate, segment=recipe.plan.segment, jobs=jobs
    )
    findings = _decided(recipe, examined.findings)
    kept = _apply(recipe, clips, findings)
    for line in report_lines(findings):
        say(line)
    facts = {fact.id: fact for fact in examined.facts}
    kept = partners.going_together(folder, kept, facts, recipe, jobs, say)
    target = dump if shard is None else shard_folder(dump, shard)
    _clear(target)
    sources = pack.plan(kept, facts, folder, recipe.audio.sample_rate, shortest=0)
    packed = pack.pack(sources, target, recipe.audio.sample_rate, recipe.data, jobs, augmentations)
    findings += augmented.told(packed.entries, packed.tally, augmentations, say)
    _write_examination(target, findings, examined.facts)
    for line in (summary(packed.entries), *(lacking(recipe, packed.entries) if shard is None else ())):
        say(line)
    if shard is not None:
        return _finish_shard(recipe, folder, target, files, packed)
    # The list of what was packed comes last: should this end in between, the corpus counts as changed, and not as packed.
    path = _publish(dump, packed.entries, say)
    corpus_files.record(dump / SOURCES, folder, files, packed.hashes)
    return path


def _clear(target: Path) -> None:
    """Deletes what interrupted runs left, which the lock makes safe; a shard counts as incomplete until packed."""
    for left in (*target.glob(".audio.*.part"), target / MADE_FROM):
        left.unlink(missing_ok=True)


def _write_examination(target: Path, findings: Sequence[AudioFinding], facts: Sequence[data_facts.Facts]) -> None:
    """Writes the findings to ``doctor.json`` and the measurements of every clip to ``facts.json``."""
    rows = [dataclasses.asdict(finding) for finding in findings]
    write_atomically(target / "doctor.json", json.dumps(rows, indent=1, default=list))
    write_atomically(target / "facts.json", json.dumps([dataclasses.asdict(fact) for fact in facts]))


def _finish_shard(
    recipe: Recipe, folder: Path, target: Path, files: Mapping[str, corpus_files.CorpusFile], packed: pack.PackedCorpus
) -> Path:
    """Writes the manifest of a shard and what it was made from, after which it counts as complete."""
    own = {path: files[path] for path in packed.hashes}
    corpus_files.record(target / SHARD_SOURCES, folder, own, packed.hashes)
    manifest.write(target / MANIFEST, packed.entries)
    write_atomically(target / MADE_FROM, _made_from(recipe, files))
    return target / MANIFEST


def _demand_splits(recipe: Recipe, clips: Sequence[Clip]) -> None:
    """Raises a DataError for clips of unknown splits and for ids that occur twice."""
    seen: set[str] = set()
    for clip in clips:
        if clip.id in seen:
            raise DataError(
                f"the corpus {recipe.single['corpus'].use} gives the id {clip.id} to two clips, {clip.path} and another; expected "
                "a different id for each"
            )
        seen.add(clip.id)
    odd = [clip for clip in clips if clip.split not in SPLITS]
    if odd:
        raise DataError(
            f"the corpus {recipe.single['corpus'].use} gives clip {odd[0].id} the split {odd[0].split!r}; expected one of "
            f"{', '.join(SPLITS)}"
        )


def shard_folder(dump: Path, shard: tuple[int, int]) -> Path:
    """The folder that shard (i, n), the i-th of n counted from 1, is packed in."""
    return dump / "shards" / f"{shard[0]}-of-{shard[1]}"


def lacking(recipe: Recipe, entries: Sequence[ManifestEntry]) -> list[str]:
    """One line of warning for each split that the recipe uses and that holds no clip."""
    asked = {"train": "training", "validation": "validation", recipe.synthesis.split: "synthesis.split"}
    there = {entry.split for entry in entries}
    return [
        f"warning: no clip is in the {split} split, which {who} needs; prepare more recordings, or change how they are "
        f"split by corpus {recipe.single['corpus'].use}"
        for split, who in asked.items()
        if split not in there
    ]


def _publish(dump: Path, entries: Sequence[ManifestEntry], say: Callable[[str], None]) -> Path:
    """Replaces the manifest in one atomic step, then deletes packs that it does not name and that nobody is reading."""
    path = dump / MANIFEST
    manifest.write(path, entries)
    named = {entry.pack for entry in entries}
    readers = in_use(dump)
    ours = [path for path in (*dump.glob("*"), *dump.glob("shards/*/*")) if PACK.fullmatch(path.name)]
    for pack_file in ours:
        name = pack_file.relative_to(dump).as_posix()
        if name in named:
            continue
        if name in readers:
            say(f"{pack_file} is kept: {readers[name]} is reading it; the next prepare will delete it")
            continue
        pack_file.unlink(missing_ok=True)
    for shard in dump.glob("shards/*-of-*"):
        if not any(name.startswith(f"shards/{shard.name}/") for name in (*named, *readers)):
            _delete_shard(shard)
    with contextlib.suppress(OSError):
        (dump / "shards").rmdir()  # where none is left
    return path


def _delete_shard(shard: Path) -> None:
    """Deletes the files of a shard, unless a job is writing it now; files of others in its folder stay."""
    try:
        with FolderLock(shard, work="deleting a shard"):
            for name in SHARD_FILES:
                (shard / name).unlink(missing_ok=True)
    except FolderInUse:
        return
    with contextlib.suppress(OSError):
        shard.rmdir()  # unless somebody else put something there


def _decided(recipe: Recipe, findings: Sequence[AudioFinding]) -> list[AudioFinding]:
    """The findings, with severity ``decided`` for errors that the recipe's ``data`` section says how to handle."""
    told = []
    for finding in findings:
        key = POLICIES.get(finding.code)
        policy = getattr(recipe.data, key) if key else "error"
        if policy != "error":
            finding = dataclasses.replace(
                finding, severity="decided", remedy=f"nothing: the recipe has data.{key}={policy}"
            )
        told.append(finding)
    return sorted(told, key=lambda finding: ("error", "warning", "decided").index(finding.severity))


def _apply(recipe: Recipe, clips: Sequence[Clip], findings: Sequence[AudioFinding]) -> list[Clip]:
    """The clips to pack under the recipe's ``data`` section; a DataError if it says ``error`` for a finding."""
    stopping, dropped = [], set()
    for finding in findings:
        key = POLICIES.get(finding.code)
        if key is None:
            continue
        policy = getattr(recipe.data, key)
        if policy == "error":
            stopping.append(finding)
        elif policy == "drop":
            dropped |= set(finding.ids)
    if stopping:
        text = "\n".join(report_lines(findings))
        raise DataError(f"the corpus is not what the recipe expects; nothing was packed.\n{text}")
    kept = [clip for clip in clips if clip.id not in dropped]
    if not kept:
        said = "; ".join(
            f"data.{POLICIES[each.code]}=drop: {each.message}, such as {each.ids[0]}"
            for each in findings
            if each.code in POLICIES and getattr(recipe.data, POLICIES[each.code]) == "drop"
        )
        raise DataError(f"every clip was dropped by the recipe's data policies; nothing was packed ({said})")
    return kept


def _made_from(recipe: Recipe, files: Mapping[str, corpus_files.CorpusFile]) -> str:
    """A hash over everything that decides what a shard holds: recipe keys, and the corpus' files."""
    from gansemble.recipe.fill import fill

    filled = fill(recipe)
    fingerprint = corpus_files.fingerprint(files)
    facts = [filled["corpus"], filled["data"], recipe.audio.sample_rate, recipe.plan.segment, fingerprint]
    facts += [filled["augmentations"]] if filled["augmentations"] else []
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _merged(
    recipe: Recipe,
    folder: Path,
    dump: Path,
    files: Mapping[str, corpus_files.CorpusFile],
    clips: Sequence[Clip],
    say: Callable[[str], None],
) -> pack.PackedCorpus | None:
    """Merges the shards of one division, if all are complete and made from the present files and recipe; else None."""
    made_from = _made_from(recipe, files)
    there = sorted(path.name for path in (dump / "shards").glob("*-of-*"))
    for first in sorted((dump / "shards").glob("1-of-*")):
        total = int(first.name.partition("-of-")[2])
        shards = [shard_folder(dump, (number, total)) for number in range(1, total + 1)]
        if not all((shard / MADE_FROM).is_file() for shard in shards):
            continue
        sources = _sources_of(shards)
        if any((shard / MADE_FROM).read_text() != made_from for shard in shards) or sources is None:
            continue
        if any(path not in files or not corpus_files.same(was, files[path], folder) for path, was in sources.items()):
            continue  # it is another file, though its size and time are as they were
        entries = [
            dataclasses.replace(entry, pack=f"shards/{shard.name}/{entry.pack}")
            for shard in shards
            for entry in manifest.read(shard / MANIFEST)
        ]
        wrong = wrong_clips(dump, entries)
        if wrong:
            raise DataError(
                f"{dump}/shards: {len(wrong)} packed clips are not what their shards' manifests say, such as "
                f"{wrong[0].id} in {wrong[0].pack}; pack that shard again, or delete {dump}/shards"
            )
        say(f"put {total} shards together")
        # Each shard was examined by itself: copies and leakage between shards can be found only now.
        known = [data_facts.Facts(**row) for shard in shards for row in json.loads((shard / "facts.json").read_text())]
        findings = doctor.judge(known, clips, sample_rate=recipe.audio.sample_rate, segment=recipe.plan.segment)
        for line in [*report_lines(_decided(recipe, findings)), summary(entries), *lacking(recipe, entries)]:
            say(line)
        hashes = {path: found.sha256 for path, found in sources.items() if found.sha256 is not None}
        augmented.demand_distinct(entries)
        augmented.told(entries, augmented.Tally(), augmented.Augmentations(), say)
        return pack.PackedCorpus(_as_scanned(entries, clips), hashes)
    if there:
        say(
            f"the shards in {dump / 'shards'} ({', '.join(there)}) are not all of one division, or were packed from other "
            "files or another recipe than now; everything is packed here instead"
        )
    return None


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


def summary(entries: Sequence[ManifestEntry]) -> str:
    """A line with the number of clips of each split, how many of them are variants, and their length in minutes."""
    parts = []
    for split in SPLITS:
        chosen = [entry for entry in entries if entry.split == split]
        if chosen:
            minutes = sum(entry.seconds for entry in chosen) / 60
            parts.append(f"{split} {len(chosen)} clips{augmented.counted(chosen)}, {minutes:.1f} min")
    return "packed: " + "; ".join(parts)


def check_segment(recipe: Recipe, dump: Path) -> None:
    """Checks that no packed training clip is shorter than ``plan.segment``, unless the recipe has ``data.short: pad``.

    Raises:
        DataError: if there are such clips; the message says what to do.
    """
    if recipe.data.short == "pad":
        return
    short = [e for e in manifest.read(dump / MANIFEST) if e.split == "train" and e.frames < recipe.plan.segment]
    if short:
        named = ", ".join(f"{entry.id} ({entry.frames})" for entry in short[:5]) + (", …" if len(short) > 5 else "")
        remedy = (
            "run stage prepare again with --force, which drops them"
            if recipe.data.short == "drop"
            else "shorten plan.segment, or set data.short to pad or drop"
        )
        raise DataError(
            f"{dump}: {len(short)} training clips are shorter than plan.segment {recipe.plan.segment}: {named}; "
            f"{remedy}"
        )
