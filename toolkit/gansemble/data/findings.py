"""Findings of the data doctor: kinds of fault with their severity and remedy, and the report. Imports no torch."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gansemble.data.manifest import Clip

if TYPE_CHECKING:
    from gansemble.data.facts import Facts

Severity = Literal["error", "warning", "decided"]


@dataclass(frozen=True)
class AudioFinding:
    """One kind of fault with all clips that have it.

    Args:
        code: kind of the fault, such as ``clipping``.
        severity: ``error`` for faults that stop the prepare stage until the recipe's ``data`` section says what to do,
            and for those that make scores meaningless, such as leakage; ``warning`` for the rest; ``decided`` for
            what is dealt with already, mostly because the recipe's ``data`` section says how.
        ids: of the clips.
        message: what was found, with the number of clips.
        remedy: what to do about it.
    """

    code: str
    severity: Severity
    ids: tuple[str, ...]
    message: str
    remedy: str


_BROKEN = "copy or fetch them again, or leave them out with data.broken=drop"

_RULES: dict[str, tuple[Severity, str]] = {
    "missing": ("error", _BROKEN),
    "unreadable": ("error", _BROKEN),
    "truncated": ("error", _BROKEN),
    "damaged": ("error", _BROKEN),
    "concatenated": (
        "error",
        "split them, or convert all of each to one new file; or leave them out with data.broken=drop",
    ),
    "empty": ("error", "leave them out with data.broken=drop"),
    "non_finite": ("error", "write them again from their source, or leave them out with data.broken=drop"),
    "wrong_rate": ("error", "data.rate=resample converts them; or set audio.sample_rate to the corpus' rate"),
    "channels": ("error", "data.channels=mix averages the channels, data.channels=first takes the first"),
    "short": ("error", "data.short=pad adds silence, data.short=drop leaves them out"),
    "leakage": ("error", "scores on copies of training clips mean nothing: keep each in one split only"),
    "recording": ("error", "scores on what was trained on mean nothing: keep all cuts of a recording in one split"),
    "duplicates": ("warning", "they count more than once in training: keep one of each"),
    "clipping": ("warning", "networks learn the distortion: take the unclipped source, or remove the worst"),
    "beyond": (
        "warning",
        "set data.normalise, or write them again at a lower level: what is generated is cut at full scale",
    ),
    "trailing": ("warning", "nothing, unless it is audio: then convert all of the file to a new one"),
    "silence": ("warning", "silent segments stall spectral losses: remove them or cut the silence off"),
    "dc": ("warning", "subtract the mean, or high-pass at 20 Hz"),
    "bandwidth": ("warning", "networks learn the cut: lower audio.sample_rate, or take better recordings"),
}


# ``hits`` are the clips that have the fault, ``total`` counts all clips examined, and ``text`` says of the former what
# is wrong, as the end of a sentence that begins with "3 of 10 clips".
def finding(code: str, hits: Sequence[Facts], total: int, text: str) -> AudioFinding:
    severity, remedy = _RULES[code]
    detail = f"; first: {hits[0].message}" if hits and hits[0].message else ""
    message = f"{len(hits)} of {total} clips {text}{detail}"
    return AudioFinding(code, severity, tuple(fact.id for fact in hits), message, remedy)


def copies(sound: Sequence[Facts], clips: Sequence[Clip], total: int) -> list[AudioFinding]:
    """Clips with the same decoded samples: duplicates within a split, and leakage between splits.

    Silent clips do not count as copies of each other.

    Args:
        sound: facts of the clips that could be read.
        clips: all clips of the corpus, which give the splits.
        total: number of clips examined, for the messages.

    Returns:
        Two findings, ``duplicates`` and ``leakage``, with no ids where there are none.
    """
    splits = {clip.id: clip.split for clip in clips}
    groups: dict[str, list[Facts]] = defaultdict(list)
    for fact in sound:
        if fact.peak > 0:
            groups[fact.sha256].append(fact)
    repeated, leaked, such = [], [], {"duplicates": "", "leakage": ""}
    for group in groups.values():
        firsts: dict[str, Facts] = {}
        for fact in group:
            first = firsts.setdefault(splits[fact.id], fact)
            if first is not fact:
                repeated += [first, fact]
                such["duplicates"] = such["duplicates"] or f", such as {first.id} and {fact.id}"
        if len(firsts) > 1:
            leaked += group
            such["leakage"] = such["leakage"] or ", such as " + " and ".join(f.id for f in firsts.values())
    twins = "have the same samples as another of their split" + such["duplicates"]
    leaks = "have the same samples as one of another split" + such["leakage"]
    return [
        finding("duplicates", list(dict.fromkeys(repeated)), total, twins),
        finding("leakage", leaked, total, leaks),
    ]


def recordings(sound: Sequence[Facts], clips: Sequence[Clip]) -> AudioFinding:
    """A finding of the clips that share their label ``recording`` with a clip of another split.

    Cuts of one recording are so alike that a network trained on one of them is not tested by another.
    """
    splits: dict[str, set[str]] = defaultdict(set)
    named = {clip.id: str(clip.labels["recording"]) for clip in clips if "recording" in clip.labels}
    for clip in clips:
        if clip.id in named:
            splits[named[clip.id]].add(clip.split)
    torn = sorted(name for name, found in splits.items() if len(found) > 1)
    hits = [fact for fact in sound if named.get(fact.id) in torn]
    such = f", such as {torn[0]!r} in {' and '.join(sorted(splits[torn[0]]))}" if torn else ""
    return finding("recording", hits, len(clips), f"are cut from recordings that other splits have cuts of{such}")


def tally(values: Iterable[str]) -> str:
    return ", ".join(f"{value}: {count}" for value, count in sorted(Counter(values).items()))


def report_lines(findings: Sequence[AudioFinding], ids: int = 5) -> list[str]:
    """The report as lines of plain text: severity, code and number of clips of each finding, with details below.

    Args:
        findings: as :func:`gansemble.data.doctor.examine` gives them.
        ids: how many ids of clips to name for each finding.
    """
    if not findings:
        return ["no findings"]
    lines = [f"{'severity':<10}{'code':<12}{'clips':>7}"]
    for finding in findings:
        named = ", ".join(finding.ids[:ids])
        more = f" and {len(finding.ids) - ids} more" if len(finding.ids) > ids else ""
        lines += [
            f"{finding.severity:<10}{finding.code:<12}{len(finding.ids):>7}",
            f"    found: {finding.message}",
            f"    clips: {named}{more}",
            f"    to do: {finding.remedy}",
        ]
    counts = Counter(finding.severity for finding in findings)
    return [*lines, f"{counts['error']} kinds of error, {counts['warning']} of warning"]
