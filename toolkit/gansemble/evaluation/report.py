"""The report stage: one self-contained HTML page with audio players, spectrograms, curves and tables."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gansemble.data.packed import Packed
from gansemble.data.verification import verify
from gansemble.errors import DataError, GansembleError, fault_of, of_all_files
from gansemble.evaluation import onsets, page, walls
from gansemble.evaluation.page import System
from gansemble.evaluation.references import demand_same
from gansemble.files import write_atomically
from gansemble.recipe.schema import Recipe
from gansemble.recipe.task import Task
from gansemble.stages import Project


def write(project: Project, others: Sequence[Project] = ()) -> Path:
    """Writes ``report/index.html`` of an experiment and returns its path.

    Args:
        project: the experiment.
        others: experiments to show beside it for comparison.

    Raises:
        GansembleError: if an experiment has not been evaluated, or another one has no clips that can be compared.
        DataError: if the packed data were altered, or are not those that the clips were made from; when the page is written,
            if a clip could not be shown.
    """
    recipe = project.checked()
    systems = [page.system_of(item.exp, number) for number, item in enumerate([project, *others])]
    systems[1:] = [_of_the_same_recordings(systems[0], system) for system in systems[1:]]
    verify(project.dump, {systems[0].index.split})
    packed = Packed(project.dump, systems[0].index.split)
    failed: list[str] = []
    ids = [clip.id for clip in systems[0].index.clips][: recipe.evaluation.shown]
    if systems[0].index.task is Task.GENERATION:
        look, count = walls.look_of(recipe), recipe.evaluation.shown
        listen = [
            page.set_table(systems),
            f"<h2>{'Look' if look else 'Listen'}</h2>",
            *(walls.gallery(system, count, recipe.audio, look) for system in systems),
            walls.real(packed, count, recipe.plan.segment, recipe.audio, look),
        ]
    else:
        demand_same(project, packed, systems[0].index.clips)
        shown = [*systems, *page.baselines_of(systems[0])]
        clips = [_clip(identity, shown, packed, recipe, failed) for identity in ids]
        listen = [*_tables(shown, recipe), "<h2>Listen</h2>", *clips]
    body = [
        _header(recipe.name, systems),
        "<h2>Scores</h2>",
        *listen,
        "<h2>Training</h2>",
        page.curves(systems),
        onsets.section(systems),
        "<h2>Recipe</h2>",
        _recipe(project),
        page.environment(systems[0].summary["environment"]),
    ]
    path = project.exp / "report" / "index.html"
    write_atomically(path, page.assemble(recipe.name, body))
    if failed:
        raise DataError(
            f"{len(failed)} of {len(ids)} clips could not be shown; {path} has the others, but stage 6 is not done:\n  "
            + "\n  ".join(failed)
        )
    return path


def _clip(identity: str, shown: Sequence[System], packed: Packed, recipe: Recipe, failed: list[str]) -> str:
    """A clip's section of the page; of one that cannot be shown the reason, which is added to ``failed``."""
    try:
        return page.clip(identity, shown, packed, recipe.audio, recipe.evaluation.seconds)
    except Exception as error:
        if of_all_files(error) is not None:
            raise
        failed.append(fault_of(identity, error))
        return f"<section><h3>{html.escape(identity)}</h3><p class=note>{html.escape(failed[-1])}</p></section>"


def _of_the_same_recordings(first: System, other: System) -> System:
    """Another experiment without the clips that have the name of a clip of the first, but imitate another recording.

    Raises:
        GansembleError: if no clip is left.
    """
    odd = first.index.of_other_recordings(other.index)
    if not odd:
        return other
    rows = {id_: row for id_, row in other.rows.items() if id_ not in odd}
    if not rows:
        raise GansembleError(
            f"--compare {other.exp}: all {len(odd)} of its clips, such as {min(odd)}, imitate other recordings than those of "
            f"{first.exp} under the same names, so there is nothing to compare"
        )
    clips = [clip for clip in other.index.clips if clip.id not in odd]
    return replace(
        other, rows=rows, index=replace(other.index, clips=clips), name=f"{other.name} (without {len(odd)} others)"
    )


def _header(name: str, systems: Sequence[System]) -> str:
    first = systems[0]
    facts = (
        f"step {first.summary['step']:,} · {len(first.rows)} {first.summary['split']} clips · "
        f"{1 / first.summary['real_time_factor']:.1f} × real time on {first.summary['device']} "
        f"({first.summary['threads']} threads) · {first.summary['environment']['date']}"
    )
    return f"<header><h1>{html.escape(name)}</h1><p>{html.escape(facts)}</p></header>"


def _tables(systems: Sequence[System], recipe: Recipe) -> list[str]:
    """One table of scores; or one for each test degradation, with a heading, where there are several."""
    if not systems[0].conditions:
        return [page.table(systems, recipe.evaluation), *_sets(systems)]
    tables = []
    for name in systems[0].conditions:
        shown = [made for made in (system.under(name) for system in systems) if made.rows]
        tables.append(f"<h3>{html.escape(name)}</h3>{page.table(shown, recipe.evaluation)}")
    return [*tables, *_sets(systems)]


def _sets(systems: Sequence[System]) -> list[str]:
    """The table of scores of whole sets; none where there are none."""
    table = page.set_table(systems, marked=True)
    return [table] if table else []


def _recipe(project: Project) -> str:
    store = project.exp / "checkpoints"
    found = sorted(store.glob("step-*/recipe.yaml"))
    text = found[-1].read_text() if found else project.recipe.read_text()
    return f"<details><summary>The filled recipe</summary><pre>{html.escape(text)}</pre></details>"
