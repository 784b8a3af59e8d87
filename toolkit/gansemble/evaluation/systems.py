"""Experiments and baselines as a page shows them: their names, clips and scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gansemble.errors import GansembleError
from gansemble.evaluation import index, records
from gansemble.evaluation.index import BASELINES, Index, folder_of
from gansemble.evaluation.records import FileRow, ScoresSummary
from gansemble.pages import clips
from gansemble.pages.pictures import COLOURS, GREYS
from gansemble.recipe.document import read
from gansemble.recipe.fill import differences

#: Recipe keys in the name of a system, of those by which experiments of one name differ.
KEYS_NAMED = 2


@dataclass
class System:
    """One experiment, or one baseline of it, as the page shows it.

    Args:
        name: as displayed.
        exp: the experiment folder.
        index: of its generated clips.
        summary: its scores over all clips.
        rows: its scores of each clip, by id.
        colour: as in CSS, which marks it in tables and curves.
        baseline: name of the baseline; None for the trained generator.
    """

    name: str
    exp: Path
    index: Index
    summary: ScoresSummary
    rows: Mapping[str, FileRow]
    colour: str
    baseline: str | None = None

    @property
    def samples(self) -> Path:
        """The folder of its sound files."""
        return folder_of(self.exp, self.index.split, self.baseline or "")

    @property
    def conditions(self) -> list[str]:
        """Names of the test degradations, where there are several; else empty."""
        found = self.index.conditions
        return found if len(found) > 1 else []

    def scores(self, key: str) -> dict[str, float]:
        """Values of one score by the id of the clip; NaN where it has none."""
        return {name: _nan(row["scores"].get(key)) for name, row in self.rows.items()}

    def under(self, condition: str) -> System:
        """The same system with the scores of one test degradation only."""
        chosen = {clip.id for clip in self.index.clips if clip.condition == condition}
        return replace(self, rows={name: row for name, row in self.rows.items() if name in chosen})


def system_of(exp: Path, number: int = 0) -> System:
    """Reads an evaluated experiment; ``number`` chooses its colour.

    Raises:
        GansembleError: if it has not been evaluated, or its files are damaged.
    """
    for path in (exp / "samples" / "index.json", exp / "scores" / "summary.json", exp / "scores" / "scores.jsonl"):
        if not path.is_file():
            raise GansembleError(f"{exp}: not evaluated yet ({path} is missing); run its stages 4 and 5 first")
    summary = records.summary(exp)
    rows = records.rows(exp / "scores" / "scores.jsonl")
    return System(summary["name"], exp, index.read(exp), summary, rows, COLOURS[number % len(COLOURS)])


def baselines_of(system: System) -> list[System]:
    """The baselines of an experiment as systems of their own, in shades of grey."""
    found: list[System] = []
    for name in system.index.baselines:
        rows = records.rows(system.exp / "scores" / BASELINES / f"{name}.jsonl")
        summary: ScoresSummary = {**system.summary, "scores": system.summary["baselines"][name]["scores"]}
        found.append(
            replace(system, name=name, rows=rows, summary=summary, colour=GREYS[len(found) % 4], baseline=name)
        )
    return found


def told_apart(systems: Sequence[System]) -> list[System]:
    """The same systems with names that differ: those of one name are called after what differs in their recipes.

    Where that says nothing, or too much for a name, it is the experiment's folder.
    """
    names = [system.name for system in systems]
    out = [
        replace(system, name=f"{system.name} · {_own(system, [s for s in systems if s.name == system.name])}")
        if names.count(system.name) > 1
        else system
        for system in systems
    ]
    seen: dict[str, int] = {}
    for place, system in enumerate(out):
        seen[system.name] = seen.get(system.name, 0) + 1
        if seen[system.name] > 1:
            out[place] = replace(system, name=f"{system.name} ({seen[system.name]})")
    return out


def _own(system: System, group: Sequence[System]) -> str:
    """What tells a system from others of its name."""
    recipes = [_recipe(each.exp) for each in group]
    mine = _recipe(system.exp)
    keys: dict[str, str] = {}
    for other in recipes:
        for key, value, _ in differences(mine, other):
            keys[key] = str(value)
    if 0 < len(keys) <= KEYS_NAMED:
        return ", ".join(f"{key.rpartition('.')[2]} {value}" for key, value in sorted(keys.items()))
    return _folder(system.exp, [each.exp for each in group])


def _folder(exp: Path, all_of_them: Sequence[Path]) -> str:
    """The last parts of an experiment's path that no other one has."""
    for count in range(1, len(exp.parts)):
        tail = exp.parts[-count:]
        if sum(other.parts[-count:] == tail for other in all_of_them) == 1:
            return "/".join(tail)
    return exp.name


def _recipe(exp: Path) -> dict[str, object]:
    found = sorted((exp / "checkpoints").glob("step-*/recipe.yaml"))
    return dict(read(found[-1]).value) if found else {}


def dot(system: System) -> str:
    """A dot in the colour of a system, as HTML."""
    return clips.dot(system.colour)


def _nan(value: float | None) -> float:
    return float("nan") if value is None else value
