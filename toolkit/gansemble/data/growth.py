"""A corpus that has grown: what was packed of it stays where it is, and only what is new is read and packed, into packs of its own.

A clip stays as it was packed if its files are those that were packed, the recipe packs as it did then, and its pack is there. The
samples are not read again: their hashes are compared when they are trained on.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from gansemble.data import augmented, manifest, signals
from gansemble.data import facts as data_facts
from gansemble.data.facts import Facts
from gansemble.data.manifest import MANIFEST, Clip, ManifestEntry
from gansemble.data.pack import PackedCorpus
from gansemble.data.stored import bytes_of, suffix_of
from gansemble.errors import DataError
from gansemble.recipe.schema import Recipe
from gansemble.recipe.sections import OF_PLACE
from gansemble.stages import corpus_files, json_files
from gansemble.stages.ledger import SOURCES
from gansemble.stages.stage import BY_NAME

#: File of the packed data that says how, and from which further files, clips were packed.
PACKED_AS = "packed-as.json"
#: File with measurements of what is stored of clips that were mixed down or resampled.
STORED = "stored.json"
#: Packed audio of less than this is packed again as a whole, which takes minutes and leaves one file [bytes].
WORTH_KEEPING = 1_000_000_000
#: A pack of which less than this share is still used is packed again, and then deleted.
USED_SHARE = 0.5


class PackedAs(TypedDict):
    """How clips were packed.

    Attributes:
        recipe: hash over everything of the recipe that decides what is stored of a clip.
        others: by the clip's id a hash over the names of its files beside its own audio, where it has any.
    """

    recipe: str
    others: dict[str, str]


@dataclass(frozen=True)
class Kept:
    """What stays of earlier packed data.

    Args:
        entries: of clips and their variants.
        facts: measurements of the clips' files.
        measured: measurements of what is stored of clips that were mixed down or resampled.
        hashes: of their source files, by path.
    """

    entries: list[ManifestEntry] = field(default_factory=list)
    facts: list[Facts] = field(default_factory=list)
    measured: list[Facts] = field(default_factory=list)
    hashes: dict[str, str] = field(default_factory=dict)

    @property
    def ids(self) -> set[str]:
        """Ids of the clips."""
        return {fact.id for fact in self.facts}

    def with_new(self, packed: PackedCorpus, clips: Sequence[Clip]) -> PackedCorpus:
        """All packed clips that the corpus lists, in its order, as if they had been packed at once.

        Args:
            packed: the new ones.
            clips: what the corpus lists, without those that the recipe's policies leave out.
        """
        if not self.entries:
            return packed
        place = {clip.id: number for number, clip in enumerate(clips)}
        entries = [e for e in (*self.entries, *packed.entries) if (e.original or e.id) in place]
        entries.sort(key=lambda entry: place[entry.original or entry.id])  # stable: variants stay behind theirs
        augmented.demand_distinct(entries)
        measured = [*self.measured, *packed.measured]
        return dataclasses.replace(packed, entries=entries, hashes=self.hashes | packed.hashes, measured=measured)


def kept(
    recipe: Recipe,
    folder: Path,
    dump: Path,
    files: Mapping[str, corpus_files.CorpusFile],
    clips: Sequence[Clip],
    say: Callable[[str], None],
) -> Kept:
    """What stays of the packed data in a folder; nothing where there are none, or little, or they were packed otherwise.

    Args:
        recipe: whose corpus is packed.
        folder, dump: of the corpus, and of the packed data.
        files: the corpus' files as they are now.
        clips: as the corpus lists them.
        say: called with each line for the user.
    """
    try:
        before = json_files.read(dump / PACKED_AS, PackedAs, "it is packed again")
        entries = manifest.load(dump / MANIFEST).entries
        facts = {fact.id: fact for fact in data_facts.read(dump / "facts.json", "it is packed again")}
        measured = data_facts.read(dump / STORED, "it is packed again")
    except DataError:
        return Kept()
    sources = corpus_files.recorded(dump / SOURCES)
    if before["recipe"] != _packed_as(recipe) or sources is None:
        return Kept()
    by_id: dict[str, list[ManifestEntry]] = {}
    for entry in entries:
        by_id.setdefault(entry.original or entry.id, []).append(entry)

    def same(path: str) -> bool:
        return path in sources and path in files and corpus_files.same(sources[path], files[path], folder)

    found: dict[str, list[ManifestEntry]] = {}
    for clip in clips:
        own, paths = by_id.get(clip.id, []), _paths(clip)
        fits = bool(own) and own[0].path == clip.path and before["others"].get(clip.id) == _others(clip)
        if fits and clip.id in facts and _keeps_variants(clip, own) and all(map(same, paths)):
            found[clip.id] = own
    found = _in_packs(dump, found, entries, say)
    chosen = [_as_listed(entry, clip) for clip in clips for entry in found.get(clip.id, ())]
    if _size(chosen) < WORTH_KEEPING:
        return Kept()
    say(f"{len(found)} clips are packed already and stay as they are; {len(clips) - len(found)} others are looked at")
    used = {path for clip in clips if clip.id in found for path in _paths(clip)}
    hashes = {path: file.sha256 for path, file in sources.items() if path in used and file.sha256 is not None}
    measured = [fact for fact in measured if fact.id in found]
    return Kept(chosen, [facts[clip.id] for clip in clips if clip.id in found], measured, hashes)


def of_suffix(kept: Kept, suffix: str, say: Callable[[str], None]) -> bool:
    """Whether what stays is stored as the whole corpus is to be stored; says so if not, as all of it is then packed again."""
    if all(suffix_of(entry.pack) == suffix for entry in kept.entries):
        return True
    say(
        f"what was packed is stored otherwise than {suffix}, so that everything is packed again; data.samples=pcm16 or float32 keeps to "
        "one way of storing"
    )
    return False


def note(recipe: Recipe, dump: Path, clips: Sequence[Clip]) -> None:
    """Writes down how clips were packed, so that they can stay when the corpus has grown."""
    others = {clip.id: _others(clip) for clip in clips}
    rows = {id_: mark for id_, mark in others.items() if mark is not None}
    json_files.write(dump / PACKED_AS, PackedAs(recipe=_packed_as(recipe), others=rows))


def _in_packs(
    dump: Path,
    found: Mapping[str, list[ManifestEntry]],
    entries: Sequence[ManifestEntry],
    say: Callable[[str], None],
) -> dict[str, list[ManifestEntry]]:
    """Those clips whose packs are there, long enough, and still used for the most part."""
    ends = manifest.sequence(entries).pack_ends()
    used = Counter[str]()
    for own in found.values():
        for entry in own:
            used[entry.pack] += entry.frames * (2 if entry.partner is not None else 1)
    lost = set()
    for name, (end, of_signals) in ends.items():
        path, size = dump / name, end * (4 if of_signals else bytes_of(suffix_of(name)))
        there = path.stat().st_size if path.is_file() else 0
        if there < size:
            what = "is gone" if not there else f"has {there} bytes of {size}"
            say(f"{path}: {what}; its clips are packed again")
            lost.add(name)
        elif not of_signals and used[name] < USED_SHARE * end:
            lost.add(name)
    return {
        id_: own
        for id_, own in found.items()
        if not any(name in lost for entry in own for name in manifest.packs([entry]))
    }


def _keeps_variants(clip: Clip, own: Sequence[ManifestEntry]) -> bool:
    """Whether a clip would have the variants that it has: those of training clips depend on its split and labels."""
    if own[0].original is not None:
        return False
    return len(own) == 1 or (clip.split, dict(clip.labels)) == (own[0].split, dict(own[0].labels))


def _as_listed(entry: ManifestEntry, clip: Clip) -> ManifestEntry:
    """An entry with the split and labels that the corpus lists now."""
    if entry.original is not None:
        return entry
    return dataclasses.replace(entry, split=clip.split, labels=dict(clip.labels))


def _paths(clip: Clip) -> list[str]:
    return [clip.path, *([clip.partner] if clip.partner is not None else []), *signals.paths(clip)]


def _others(clip: Clip) -> str | None:
    if clip.partner is None and not signals.paths(clip):
        return None
    facts = [clip.partner, sorted(clip.signals.items()), sorted(clip.embeddings.items())]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _size(entries: Sequence[ManifestEntry]) -> int:
    return sum(bytes_of(suffix_of(e.pack)) * e.frames * (1 if e.partner is None else 2) for e in entries)


def _packed_as(recipe: Recipe) -> str:
    """A hash over everything of a recipe that decides what is stored of a clip."""
    from gansemble.recipe.fill import fill

    filled = fill(recipe)
    policies = dataclasses.asdict(recipe.data)
    for key in ("normalise", "label", *OF_PLACE):  # applied when clips are read, or where they lie
        del policies[key]
    hop = recipe.audio.hop if recipe.data.signals or recipe.data.embeddings else None
    facts = [filled["corpus"], policies, recipe.audio.sample_rate, hop, filled["augmentations"]]
    return hashlib.sha256(json.dumps([BY_NAME["prepare"].version, *facts]).encode()).hexdigest()
