"""The fetch and prepare stages: download a corpus, examine its files, and pack them."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

import numpy as np

from gansemble.abilities import DescribedCorpus, ProgressiveCorpus
from gansemble.audio import listing
from gansemble.audio.names import as_text, is_text, shown
from gansemble.data import augmented, doctor, growth, manifest, pack, partners, shards, signals, stored
from gansemble.data import facts as data_facts
from gansemble.data.augmented import Augmentations
from gansemble.data.findings import AudioFinding, report_lines
from gansemble.data.judgement import apply, as_stored, decided, say_all
from gansemble.data.manifest import MANIFEST, SPLITS, Clip, ManifestEntry
from gansemble.data.mini import MARK
from gansemble.data.readers import in_use
from gansemble.errors import DataError, PartError
from gansemble.files import write_atomically
from gansemble.interfaces.at_work import AtWork
from gansemble.recipe.schema import Recipe
from gansemble.stages import corpus_files, json_files
from gansemble.stages.corpus_files import CorpusFile
from gansemble.stages.ledger import SOURCES

#: Scores of fewer clips are hardly a measurement.
FEWEST = 4

if TYPE_CHECKING:
    from gansemble.interfaces import Corpus

#: Names of packs that this module writes; when old packs are deleted, files of other names are left alone.
PACK = re.compile(r"(audio-[0-9a-f]{16}\.(i16|f32)|signals-[0-9a-f]{16}\.f32)")


def corpus_of(recipe: Recipe) -> Corpus:
    """Builds the corpus that the recipe names."""
    from gansemble.recipe.construct import construct

    return construct(recipe.single["corpus"], recipe)


@contextlib.contextmanager
def at_work(recipe: Recipe, doing: str) -> Iterator[None]:
    """Makes an error of the corpus one that names it; those of files are told as they are.

    Args:
        recipe: that names the corpus.
        doing: what it was asked for.

    Raises:
        PartError: if the corpus raises anything but errors for the user and of files.
    """
    try:
        with AtWork(f"corpus ({recipe.single['corpus'].use})", doing):
            yield
    except PartError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno is not None:
            raise error.__cause__ from None  # a full disk, or no permission
        raise


def fetch(recipe: Recipe, folder: Path, progress: Callable[[int, int | None], None] | None = None) -> list[Clip]:
    """Downloads the recipe's corpus into ``folder`` unless it is there, and returns its clips. Corpora that support it
    call ``progress`` with (bytes done, bytes in total)."""
    corpus = corpus_of(recipe)
    with at_work(recipe, f"to fetch into {folder}"):
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
    with at_work(recipe, f"to list {folder}"):
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
    anew: bool = False,
) -> Path:
    """Examines and packs a corpus below ``dump`` and returns the path of the manifest. The caller must hold its lock.

    Earlier packed data stay usable until the new manifest replaces the old one at the end.

    Args:
        folder, dump: of the corpus, and of the packed data.
        jobs: number of worker processes.
        shard: (i, n) packs only every n-th clip from the i-th on, counted from 1, for n jobs in parallel on different
            machines; a run without it then merges the shards.
        anew: pack everything; else clips of large packed data that are still what was packed stay as they are.

    Raises:
        DataError: with the doctor's report, if files are not as the recipe expects and its ``data`` section does not
            say what to do; or if the corpus lists no clips or invalid ones.
    """
    corpus = corpus_of(recipe)
    files = corpus_files.survey(folder)  # before anything is read: what changes from now on counts as changed
    augmentations = Augmentations.of(recipe)
    clips = _chosen(recipe, corpus, folder, augmentations, say)
    files |= _elsewhere(folder, clips, files)
    if isinstance(corpus, DescribedCorpus):
        say(corpus.describe(folder))
    for line in passed_over(folder, clips):
        say(line)
    stays = growth.Kept() if anew else growth.kept(recipe, folder, dump, files, clips, say)
    if shard is None:
        merged = shards.merged(recipe, folder, dump, files, clips, stays, say)
        if merged is not None:
            _judge_merged(recipe, clips, dump, merged, say)
            return _finish(recipe, folder, dump, files, clips, merged.packed, say)
    work = _Work(recipe, folder, dump if shard is None else shards.folder_of(dump, shard), jobs, augmentations, say)
    if shard is not None:
        new = sorted((clip for clip in clips if clip.id not in stays.ids), key=lambda clip: clip.id)
        packed = _packed(work, new[shard[0] - 1 :: shard[1]], growth.Kept())
        return shards.finish(recipe, folder, work.target, files, packed)
    packed = _packed(work, clips, stays)
    _say_few(packed.entries, say)
    return _finish(recipe, folder, dump, files, clips, packed, say)


@dataclasses.dataclass(frozen=True)
class _Work:
    """What packing needs to know beside the clips; see :func:`prepare`."""

    recipe: Recipe
    folder: Path
    target: Path
    jobs: int
    augmentations: Augmentations
    say: Callable[[str], None]


def _packed(work: _Work, clips: Sequence[Clip], stays: growth.Kept) -> pack.PackedCorpus:
    """Examines and packs those clips that are not packed already, and judges all of them together."""
    recipe, say, rate, segment = work.recipe, work.say, work.recipe.audio.sample_rate, work.recipe.plan.segment
    known = {fact.id: fact for fact in stays.facts}
    new = [clip for clip in clips if clip.id not in known]
    examined = doctor.examine(work.folder, new, sample_rate=rate, segment=segment, jobs=work.jobs)
    facts = known | {fact.id: fact for fact in examined.facts}
    listed = [facts[clip.id] for clip in clips]
    findings = doctor.judge(listed, clips, sample_rate=rate, segment=segment) if known else examined.findings
    findings = decided(recipe, findings)
    fit = apply(recipe, clips, findings)
    say_all(report_lines(findings), say)
    suffix = stored.choose(recipe.data, [facts[clip.id] for clip in fit], say)
    if not growth.of_suffix(stays, suffix, say):
        return _packed(work, clips, growth.Kept())
    kept = partners.going_together(work.folder, [c for c in fit if c.id not in known], facts, recipe, work.jobs, say)
    shards.clear(work.target)
    sources = pack.plan(kept, facts, work.folder, rate, 0, pack.samples_of(recipe.data, suffix))
    made = pack.pack(sources, work.target, rate, recipe.data, work.jobs, work.augmentations, suffix)
    made = signals.pack(made, kept, work.folder, work.target, recipe, say)
    there = {clip.id for clip in kept} | known.keys()
    fit = [clip for clip in fit if clip.id in there]
    packed = stays.with_new(made, fit)
    findings = as_stored(recipe, findings, fit, facts, packed, say)
    # Whether an augmentation makes variants at all is not asked of a few new clips.
    findings += augmented.told(packed.entries, packed.tally, Augmentations() if known else work.augmentations, say)
    _write_examination(work.target, findings, listed, packed.measured)
    say(summary(packed.entries))
    return packed


def _chosen(
    recipe: Recipe, corpus: Corpus, folder: Path, augmentations: Augmentations, say: Callable[[str], None]
) -> list[Clip]:
    """The clips that a corpus lists, with the files of their signals; a DataError if they cannot be packed."""
    clips = _scanned(recipe, corpus, folder)
    if not clips:
        raise DataError(f"{folder}: the corpus {recipe.single['corpus'].use} found no clip here; check --data")
    _demand_splits(recipe, clips)
    clips = signals.found(recipe, folder, clips, say)
    augmented.demand_fit(augmentations, clips)
    return clips


def passed_over(folder: Path, clips: Sequence[Clip]) -> list[str]:
    """What is said of the files of a corpus folder that are no clip's, whatever the corpus, and of odd names of clips.

    A folder that cannot be listed is told of: a corpus that looks for clips there has refused it.
    """
    used = [path for clip in clips for path in (clip.path, clip.partner, *signals.paths(clip)) if path is not None]
    odd = [clip for clip in clips if as_text(clip.path) != clip.path]
    lines = listing.told(listing.below(folder, strict=False), [*used, MARK])
    if odd:
        lines.append(
            f"{len(odd)} of {len(clips)} clips have names that are no text on one line, such as {shown(odd[0].path)}; their ids and labels "
            f"hold U+FFFD and two digits for each such byte: {odd[0].id}"
        )
    return lines


def _finish(
    recipe: Recipe,
    folder: Path,
    dump: Path,
    files: Mapping[str, CorpusFile],
    clips: Sequence[Clip],
    packed: pack.PackedCorpus,
    say: Callable[[str], None],
) -> Path:
    """Publishes what was packed, and records which files of the corpus it was made from."""
    for line in lacking(recipe, packed.entries):
        say(line)
    # The list of what was packed comes last: should this end in between, the corpus counts as changed, and not as packed.
    (dump / growth.PACKED_AS).unlink(missing_ok=True)
    path = _publish(dump, packed.entries, say)
    growth.note(recipe, dump, clips)
    corpus_files.record(dump / SOURCES, folder, files, packed.hashes)
    return path


def _elsewhere(folder: Path, clips: Sequence[Clip], known: Mapping[str, CorpusFile]) -> dict[str, CorpusFile]:
    """The files of clips that were not found in the corpus' folder itself, such as those behind links."""
    listed = [path for clip in clips for path in (clip.path, clip.partner, *signals.paths(clip)) if path is not None]
    return corpus_files.survey(folder, [path for path in listed if path not in known], whole=False)


def _judge_merged(
    recipe: Recipe, clips: Sequence[Clip], dump: Path, merged: shards.MergedShards, say: Callable[[str], None]
) -> None:
    """Says and writes down what was found of the clips of all shards."""
    findings = decided(recipe, merged.findings)
    say_all(report_lines(findings), say)
    there = {entry.id for entry in merged.packed.entries}
    kept = [clip for clip in clips if clip.id in there]
    findings = as_stored(recipe, findings, kept, {fact.id: fact for fact in merged.facts}, merged.packed, say)
    _write_examination(dump, findings, merged.facts, merged.packed.measured)
    say(summary(merged.packed.entries))
    _say_few(merged.packed.entries, say)


def _write_examination(
    target: Path,
    findings: Sequence[AudioFinding],
    facts: Sequence[data_facts.Facts],
    measured: Sequence[data_facts.Facts],
) -> None:
    """Writes the findings to ``doctor.json``, the measurements of every clip's file to ``facts.json``, and those of what
    is stored of clips that were mixed down or resampled to ``stored.json``."""
    rows = [dataclasses.asdict(finding) for finding in findings]
    write_atomically(target / "doctor.json", json.dumps(rows, indent=1, default=list))
    json_files.write(target / "facts.json", [dataclasses.asdict(fact) for fact in facts])
    json_files.write(target / growth.STORED, [dataclasses.asdict(fact) for fact in measured])


def _demand_splits(recipe: Recipe, clips: Sequence[Clip]) -> None:
    """Raises a DataError for clips of unknown splits, for ids that are no text and for ids that occur twice."""
    seen: set[str] = set()
    for clip in clips:
        if clip.id in seen:
            raise DataError(
                f"the corpus {recipe.single['corpus'].use} gives the id {clip.id} to two clips, {clip.path} and another; expected "
                "a different id for each"
            )
        seen.add(clip.id)
    broken = [clip for clip in clips if not is_text(clip.id)]
    if broken:
        raise DataError(
            f"the corpus {recipe.single['corpus'].use} gives {shown(broken[0].path)} the id {shown(broken[0].id)}, which is no text "
            "on one line; expected one as gansemble.audio.names.as_text makes it"
        )
    odd = [clip for clip in clips if clip.split not in SPLITS]
    if odd:
        raise DataError(
            f"the corpus {recipe.single['corpus'].use} gives clip {odd[0].id} the split {odd[0].split!r}; expected one of "
            f"{', '.join(SPLITS)}"
        )


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
    named = manifest.packs(entries)
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
            shards.delete(shard)
    with contextlib.suppress(OSError):
        (dump / "shards").rmdir()  # where none is left
    return path


def summary(entries: Sequence[ManifestEntry]) -> str:
    """A line with the number of clips of each split, how many of them are variants, and their length in minutes."""
    parts = []
    for split in SPLITS:
        chosen = [entry for entry in entries if entry.split == split]
        if chosen:
            seconds = sum(entry.seconds for entry in chosen)
            length = f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.1f} s"
            clips = f"{len(chosen)} clip{'' if len(chosen) == 1 else 's'}"
            parts.append(f"{split} {clips}{augmented.counted(chosen)}, {length}")
    return "packed: " + "; ".join(parts)


def _say_few(entries: Sequence[ManifestEntry], say: Callable[[str], None]) -> None:
    """Says which splits to measure on are so small that they tell next to nothing."""
    for split in ("validation", "test"):
        number = sum(entry.split == split and entry.original is None for entry in entries)
        if 0 < number < FEWEST:
            say(
                f"note: scores of {number} {split} clip{'' if number == 1 else 's'} tell next to nothing; take more recordings, "
                f"or a larger share of them where the corpus has one, such as corpus.{split}=0.2"
            )


def check_segment(recipe: Recipe, dump: Path) -> None:
    """Checks that no packed training clip is shorter than ``plan.segment``, unless the recipe has ``data.short: pad``.

    Raises:
        DataError: if there are such clips; the message says what to do.
    """
    if recipe.data.short == "pad":
        return
    clips = manifest.load(dump / MANIFEST).clips.of_split(SPLITS.index("train"))
    short = clips.at(np.flatnonzero(clips.column("frames") < recipe.plan.segment))
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


def check_splits(recipe: Recipe, dump: Path) -> None:
    """Checks that there are clips in the split that stages 4 to 6 use, which would be missed only after training.

    Raises:
        DataError: if there is none; the message says what to do.
    """
    there = set(manifest.load(dump / MANIFEST).identity)
    asked = recipe.synthesis.split
    if asked not in there:
        held_out = [split for split in SPLITS if split in there and split != "train"]
        other = "".join(f", or use another split with --set synthesis.split={split}" for split in held_out[:1])
        raise DataError(
            f"{dump / MANIFEST}: no clip is in the {asked} split, which synthesis.split names and stages 4 to 6 need; prepare more "
            f"recordings, change how corpus {recipe.single['corpus'].use} splits them{other}"
        )
