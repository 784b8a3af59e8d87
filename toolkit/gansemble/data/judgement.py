"""What becomes of the data doctor's findings: what the recipe's ``data`` section decides, and how what is stored is judged."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from gansemble.data import doctor
from gansemble.data.facts import Facts
from gansemble.data.findings import AudioFinding, report_lines
from gansemble.data.manifest import Clip
from gansemble.data.pack import PackedCorpus
from gansemble.errors import DataError
from gansemble.recipe.schema import Recipe

#: Codes of findings that stop the preparation, each with the key of the ``data`` section that decides about it.
POLICIES = {
    "missing": "broken",
    "unreadable": "broken",
    "truncated": "broken",
    "damaged": "broken",
    "concatenated": "broken",
    "empty": "broken",
    "non_finite": "broken",
    "wrong_rate": "rate",
    "channels": "channels",
    "short": "short",
}


#: Codes of findings about how clips sound, which are judged by what is stored of them.
OF_SOUND = frozenset({"beyond", "silence", "dc", "bandwidth", "duplicates", "leakage"})


def say_all(lines: Sequence[str], say: Callable[[str], None]) -> None:
    """Says each of some lines."""
    for line in lines:
        say(line)


def decided(recipe: Recipe, findings: Sequence[AudioFinding]) -> list[AudioFinding]:
    """The findings, with severity ``decided`` for errors that the recipe's ``data`` section says how to handle."""
    told = []
    for finding in findings:
        key = POLICIES.get(finding.code)
        policy = getattr(recipe.data, key) if key else "error"
        if finding.code == "beyond" and recipe.data.normalise is not None:
            remedy = f"nothing: all of them is kept, and data.normalise={recipe.data.normalise:g} scales each clip"
            finding = dataclasses.replace(finding, severity="decided", remedy=remedy)
        if policy != "error":
            finding = dataclasses.replace(
                finding, severity="decided", remedy=f"nothing: the recipe has data.{key}={policy}"
            )
        told.append(finding)
    return sorted(told, key=lambda finding: ("error", "warning", "decided").index(finding.severity))


def apply(recipe: Recipe, clips: Sequence[Clip], findings: Sequence[AudioFinding]) -> list[Clip]:
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


def as_stored(
    recipe: Recipe,
    findings: Sequence[AudioFinding],
    clips: Sequence[Clip],
    facts: Mapping[str, Facts],
    packed: PackedCorpus,
    say: Callable[[str], None],
) -> list[AudioFinding]:
    """The findings, with those about the sound by what is stored: mixed down and at the recipe's rate; says what differs."""
    measured = {fact.id: fact for fact in packed.measured}
    digests = {entry.id: entry.sha256 for entry in packed.entries}
    made = [dataclasses.replace(measured.get(clip.id, facts[clip.id]), sha256=digests[clip.id]) for clip in clips]
    judged = doctor.judge(made, clips, sample_rate=recipe.audio.sample_rate, segment=None)
    stored = [finding for finding in decided(recipe, judged) if finding.code in OF_SOUND]
    before = {finding.code: set(finding.ids) for finding in findings}
    other = [finding for finding in stored if set(finding.ids) != before.get(finding.code)]
    if other:
        say_all(["as stored, mixed down and at the recipe's rate:", *report_lines(other)], say)
    return [*stored, *(finding for finding in findings if finding.code not in OF_SOUND)]
