"""Variants of training clips, which augmentations make when a corpus is packed, and checks of what they made.

A variant is packed as a training clip of its own with the id ``clip~variant``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import numpy as np

from gansemble.audio import levels
from gansemble.data.findings import AudioFinding, report_lines
from gansemble.data.manifest import ORIGINAL, VARIANT, Clip, ManifestEntry
from gansemble.errors import DataError, PluginError, first_few

if TYPE_CHECKING:
    from gansemble.interfaces import Augmentation
    from gansemble.recipe.schema import Recipe

#: What a variant may be called.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
#: Longest id of a variant [bytes]: file systems allow names of 255 bytes, and files named by an id have a suffix.
LONGEST_NAME = 240
#: Largest positive value of a 16 bit sample, full scale being 1; variants louder than this are scaled down to it.
FULL_SCALE = 32767 / 32768
SILENT_PEAK = 1e-3  # -60 dBFS, as the doctor's
SHOWN = 5


@dataclass(frozen=True)
class Chosen:
    """An augmentation of a recipe as plain data, which can be pickled for worker processes and built there.

    Args:
        use: registered name of the part, ``plugin/name``.
        arguments: keyword arguments of its constructor.
    """

    use: str
    arguments: Mapping[str, object]


@dataclass(frozen=True)
class Augmentations:
    """The augmentations of a recipe.

    Args:
        parts: the built parts by their names in the recipe, sorted by name, so that their order in the file does not
            matter.
        chosen: the same parts in a form for worker processes.
    """

    parts: Mapping[str, Augmentation] = field(default_factory=dict)
    chosen: Mapping[str, Chosen] = field(default_factory=dict)

    @classmethod
    def of(cls, recipe: Recipe) -> Augmentations:
        """Builds the augmentations of a recipe.

        Raises:
            PluginError: if the constructor of one asks for values that the toolkit derives from the training plan.
                Packed data are made once and used by recipes with different plans, so variants must not depend on one.
        """
        from gansemble.recipe import types
        from gansemble.recipe.construct import construct
        from gansemble.recipe.schema import SUPPLIED

        found = dict(sorted(recipe.many.get("augmentations", {}).items()))
        for name, part in found.items():
            asked = [each for each in SUPPLIED if each in types.signature(part.target) and each not in part.arguments]
            if asked:
                raise PluginError(
                    f"augmentations.{name} ({part.use}): takes {', '.join(asked)} of the toolkit, but variants are packed "
                    "once, whatever the plan; an augmentation has parameters of its own only"
                )
        chosen = {
            name: Chosen(f"{part.entry.plugin}/{part.entry.name}", part.arguments) for name, part in found.items()
        }
        return cls({name: construct(part, recipe) for name, part in found.items()}, chosen)

    def __bool__(self) -> bool:
        return bool(self.parts)


def build(chosen: Mapping[str, Chosen]) -> dict[str, Augmentation]:
    """Builds the augmentations in a worker process, which first has to load the plugins."""
    if not chosen:
        return {}
    from gansemble.plugins import loading

    known = loading.registry()
    made = {name: known.get("augmentation", each.use).load()(**each.arguments) for name, each in chosen.items()}
    return {name: cast("Augmentation", part) for name, part in made.items()}


@dataclass(frozen=True)
class Variant:
    """One variant of a clip, ready to be packed.

    Args:
        section: name of the augmentation in the recipe.
        name: of the variant, the part of its id behind ``~``.
        samples: float32 [T], T samples as in the clip, within ±1; None where the augmentation made NaN or Inf.
        peak: largest magnitude before the variant was scaled down to full scale.
    """

    section: str
    name: str
    samples: np.ndarray | None
    peak: float


@dataclass
class Tally:
    """Counts of the variants that were made while a corpus was packed.

    Args:
        made: how many variants were packed, by the name of the augmentation in the recipe.
        loud: original peak of each variant that was scaled down to full scale, by its id.
        unfinished: ids of the variants that held NaN or Inf, which are not packed.
    """

    made: dict[str, int] = field(default_factory=dict)
    loud: dict[str, float] = field(default_factory=dict)
    unfinished: list[str] = field(default_factory=list)

    def add(self, id_: str, variant: Variant) -> None:
        """Counts one variant, whose id is ``id_``."""
        if variant.samples is None:
            self.unfinished.append(id_)
            return
        self.made[variant.section] = self.made.get(variant.section, 0) + 1
        if variant.peak > FULL_SCALE:
            self.loud[id_] = variant.peak


def demand_fit(augmentations: Augmentations, clips: Sequence[Clip]) -> None:
    """Raises an error if the clips of a corpus cannot have variants; does nothing without augmentations.

    Raises:
        DataError: if clips come with degraded recordings or with signals, which would not match a variant of the clean
            clip, or if clips have a label ``original``, which marks variants.
    """
    if not augmentations:
        return
    names = ", ".join(f"augmentations.{name}" for name in augmentations.parts)
    paired = [clip.id for clip in clips if clip.partner is not None]
    if paired:
        raise DataError(
            f"{names}: {len(paired)} clips have degraded recordings of their own, such as {paired[0]}, and a variant of the clean "
            "clip would not go with its degraded one; take the augmentations out, or use a corpus of clean clips and a degradation"
        )
    told = [clip.id for clip in clips if clip.signals]
    if told:
        raise DataError(
            f"{names}: {len(told)} clips have conditioning signals in files, such as {told[0]}, which would not go with a variant "
            "of the clip; take the augmentations out, or let a feature compute the signals"
        )
    marked = [clip.id for clip in clips if ORIGINAL in clip.labels]
    if marked:
        raise DataError(
            f"{names}: {len(marked)} clips have a label {ORIGINAL!r} of their own, such as {marked[0]}; this label tells which "
            "clip a variant was made of, so the corpus must call its own something else"
        )


def variants(parts: Mapping[str, Augmentation], id_: str, audio: np.ndarray, sample_rate: int) -> list[Variant]:
    """Applies all augmentations to one training clip.

    Variants louder than full scale are scaled down to it. Augmentations are given a clip that goes beyond it at full scale.

    Args:
        parts: the augmentations by their names in the recipe.
        id_: id of the clip, for error messages and for the length of the variants' ids.
        audio: the clip; each augmentation is given a copy of its own.
        sample_rate: of the clip [Hz].

    Raises:
        DataError: if an augmentation raises an exception, if two variants of the clip have one name, or if a variant
            has an invalid name, another length than the clip, or is no float array.

    Shape:
        - audio: float32 [T], T samples
        - samples of each variant: float32 [T] within ±1
    """
    found: dict[str, Variant] = {}
    audio = audio / max(1.0, levels.peak(audio))
    for section, part in parts.items():
        who = f"augmentations.{section} ({type(part).__name__})"
        try:
            made = [(name, sound) for name, sound in part.variants(audio.copy(), sample_rate)]
        except Exception as error:
            raise DataError(
                f"{who} fails at clip {id_} ({type(error).__name__}: {error}); nothing was packed. Change its parameters, "
                "take it out, or tell its author"
            ) from error
        for name, sound in made:
            _demand_variant(who, id_, audio, name, sound)
            if name in found:
                raise DataError(
                    f"{who}: makes a second variant {name!r} of clip {id_}; every variant of a clip needs a name of its own. "
                    "Do two augmentations of the recipe make the same?"
                )
            found[name] = _as_packed(section, name, sound)
    return list(found.values())


def _demand_variant(who: str, id_: str, audio: np.ndarray, name: object, sound: object) -> None:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise DataError(
            f"{who}: names a variant of clip {id_} {name!r}; expected letters, digits, '.', '_' and '-', a letter or digit first"
        )
    if len(f"{id_}{VARIANT}{name}".encode()) > LONGEST_NAME:
        raise DataError(
            f"{who}: {id_}{VARIANT}{name} is longer than the {LONGEST_NAME} bytes that a file may be called; shorten the names"
        )
    if not isinstance(sound, np.ndarray) or not np.issubdtype(sound.dtype, np.floating):
        got = sound.dtype if isinstance(sound, np.ndarray) else type(sound).__name__
        raise DataError(f"{who}: variant {name} of clip {id_} must be a float array within ±1, got {got}")
    if sound.shape != audio.shape:
        raise DataError(
            f"{who}: variant {name} of clip {id_} must be as long as the clip: expected {list(audio.shape)}, got "
            f"{list(sound.shape)}"
        )


def _as_packed(section: str, name: str, sound: np.ndarray) -> Variant:
    peak = levels.peak(sound)
    if not np.isfinite(peak):  # NaN or Inf anywhere is so in the largest magnitude
        return Variant(section, name, None, peak)
    scale = FULL_SCALE / peak if peak > FULL_SCALE else 1.0
    return Variant(section, name, (sound * scale).astype(np.float32), peak)


def labels(clip: Clip | ManifestEntry) -> dict[str, int | str]:
    """The labels that the variants of a clip have.

    They are those of the clip and ``original``, the clip's id. A clip without a label ``recording`` gives its id for
    it, which marks the clip's variants as cuts of one recording that must stay in one split.
    """
    return {"recording": clip.id} | dict(clip.labels) | {ORIGINAL: clip.id}


def demand_distinct(entries: Sequence[ManifestEntry]) -> None:
    """Checks that no variant has the id of a clip of the corpus.

    Raises:
        DataError: if one has.
    """
    known = {entry.id for entry in entries if entry.original is None}
    clashes = [entry.id for entry in entries if entry.original is not None and entry.id in known]
    if clashes:
        raise DataError(
            f"{len(clashes)} variants would be called as clips of the corpus are, such as {clashes[0]}; nothing was packed. "
            "Rename these clips, or take the augmentation out"
        )


def refused(unfinished: Sequence[str]) -> DataError:
    """The error to raise for variants that hold NaN or Inf where the recipe does not have ``data.broken: drop``."""
    return DataError(
        f"{len(unfinished)} variants of training clips hold NaN or Inf ({first_few(unfinished, SHOWN)}); nothing was packed. Mend or change "
        "the augmentation, or leave these variants out with data.broken=drop"
    )


def told(
    entries: Sequence[ManifestEntry], tally: Tally, augmentations: Augmentations, say: Callable[[str], None]
) -> list[AudioFinding]:
    """Examines the variants among the packed clips and reports what was found.

    Args:
        entries: all packed clips and variants.
        tally: counts of the variants from packing.
        augmentations: the recipe's.
        say: called with each line of the report, including warnings about augmentations that made no variant.

    Returns:
        The findings; see :func:`examine`.
    """
    found = examine(entries, tally)
    for line in (*(report_lines(found) if found else ()), *idle(augmentations, tally, entries)):
        say(line)
    return found


def examine(entries: Sequence[ManifestEntry], tally: Tally) -> list[AudioFinding]:
    """Findings about the variants: copies of other clips, leakage between splits, silence, NaN or Inf, and loudness."""
    loud, unfinished = tally.loud, tally.unfinished
    made = [entry for entry in entries if entry.original is not None]
    total = len(made) + len(unfinished)
    peaks = {entry.id: entry.peak for entry in entries}
    # Silent variants of clips that are not silent themselves; those of silent clips are the clips' fault.
    silent = [e.id for e in made if e.peak < SILENT_PEAK <= peaks.get(str(e.original), 0.0)]
    found = list(_copies(entries, made))
    if unfinished:
        text = f"{len(unfinished)} of {total} variants hold NaN or Inf and were left out"
        found.append(
            AudioFinding("non_finite", "decided", tuple(unfinished), text, "nothing: the recipe has data.broken=drop")
        )
    if silent:
        text = f"{len(silent)} of {total} variants are silent (below -60 dBFS), and their clips are not"
        found.append(AudioFinding("silence", "warning", tuple(silent), text, "change the augmentation's parameters"))
    if loud:
        text = f"{len(loud)} of {total} variants went beyond full scale (up to {max(loud.values()):.3f}) and were scaled down to it"
        remedy = "nothing; data.normalise scales clips when they are read"
        found.append(AudioFinding("loud", "decided", tuple(loud), text, remedy))
    return found


def _copies(entries: Sequence[ManifestEntry], made: Sequence[ManifestEntry]) -> Iterator[AudioFinding]:
    """Variants with the same samples as another training clip, such as the one they were made from, or as a clip of
    another split."""
    known: dict[str, list[ManifestEntry]] = defaultdict(list)
    for entry in entries:
        if entry.peak > 0:
            known[entry.sha256].append(entry)
    twins = {e.id: [o for o in known[e.sha256] if o.id != e.id] for e in made if e.peak > 0}
    same = [id_ for id_, others in twins.items() if any(other.split == "train" for other in others)]
    leaked = [id_ for id_, others in twins.items() if any(other.split != "train" for other in others)]
    if same:
        such = f", such as {same[0]} and {next(o.id for o in twins[same[0]] if o.split == 'train')}"
        text = f"{len(same)} of {len(made)} variants have the same samples as another training clip{such}"
        yield AudioFinding(
            "duplicates", "warning", tuple(same), text, "they count more than once: change the augmentation"
        )
    if leaked:
        such = f", such as {leaked[0]} and {next(o.id for o in twins[leaked[0]] if o.split != 'train')}"
        text = f"{len(leaked)} of {len(made)} variants have the same samples as a clip of another split{such}"
        remedy = (
            "scores on copies of training clips mean nothing: change the augmentation, or keep such clips in one split"
        )
        yield AudioFinding("leakage", "error", tuple(leaked), text, remedy)


def idle(augmentations: Augmentations, tally: Tally, entries: Sequence[ManifestEntry]) -> list[str]:
    """One line of warning for each augmentation that made no variant of any training clip."""
    clips = sum(entry.split == "train" and entry.original is None for entry in entries)
    return [
        f"warning: augmentations.{name} ({part.use}) made no variant of any of {clips} training clips; do its parameters "
        "leave all of them out?"
        for name, part in augmentations.chosen.items()
        if clips and not tally.made.get(name)
    ]


def counted(entries: Sequence[ManifestEntry]) -> str:
    """How many of some clips are variants, by the variants' names, as text in brackets; empty where none is."""
    names: dict[str, int] = defaultdict(int)
    for entry in entries:
        if entry.original is not None:
            names[entry.id.rpartition(VARIANT)[2]] += 1
    if not names:
        return ""
    listed = ", ".join(f"{count} {name}" for name, count in [*names.items()][:SHOWN])
    return f" ({sum(names.values())} of them variants: {listed}{', …' if len(names) > SHOWN else ''})"
