"""The report stage: one page that stands for itself, with what was trained, scores, clips to compare, and curves."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from gansemble.data.packed import Packed
from gansemble.data.verification import verify
from gansemble.errors import DataError, GansembleError, fault_of, of_all_files
from gansemble.evaluation import account, account_words, curves, model_card, onsets, tables, verdict, walls
from gansemble.evaluation.clips import clip
from gansemble.evaluation.references import demand_same
from gansemble.evaluation.systems import System, baselines_of, system_of, told_apart
from gansemble.files import write_atomically
from gansemble.pages import document
from gansemble.pages.names import named
from gansemble.pages.sounds import Sounds
from gansemble.recipe.schema import Recipe
from gansemble.recipe.task import Task
from gansemble.stages import Project

Say = Callable[[str], None]


def write(
    project: Project,
    others: Sequence[tuple[str, Project]] = (),
    say: Say = lambda text: None,
    licence: str | None = None,
) -> Path:
    """Writes ``report/index.html`` of an experiment, and its model card beside it, and returns the page's path.

    Args:
        project: the experiment.
        others: experiments to show beside it for comparison, each with its name on the page; an empty one is the recipe's.
        say: called with lines about the page's size, before it is written.
        licence: of the model, for its card; None is unknown.

    Raises:
        GansembleError: if an experiment has not been evaluated, or another one has no clips that can be compared.
        DataError: if the packed data were altered, or are not those that the clips were made from; when the page is written,
            if a clip could not be shown.
    """
    recipe = project.checked()
    systems = _systems(project, others)
    first = systems[0]
    verify(project.dump, {first.index.split})
    packed = Packed(project.dump, first.index.split)
    baselines = [] if first.index.task is Task.GENERATION else baselines_of(first)
    failed: list[str] = []
    sounds = Sounds(recipe.evaluation.sound, recipe.evaluation.page_megabytes)
    if first.index.task is Task.GENERATION:
        listen = [tables.set_table(systems), *_walls(systems, packed, recipe, sounds)]
        shown = 0
    else:
        demand_same(project, packed, first.index.clips)
        ids = [clip.id for clip in first.index.clips][: recipe.evaluation.shown]
        columns, shown = [*systems, *baselines], len(ids)
        clips = [_clip(identity, columns, packed, recipe, sounds, failed) for identity in ids]
        heading = walls.heading(recipe.audio, None, several=True) if clips else []
        listen = [*_tables(columns, recipe), *heading, *clips]
    body = [
        _header(recipe.name, systems),
        *_account(project, first),
        _paragraphs("How good it is", verdict.sentences(recipe, systems, baselines)),
        "<h2>Scores</h2>",
        *listen,
        "<h2>Training</h2>",
        curves.curves(systems),
        onsets.section(systems),
        "<h2>Recipe</h2>",
        _recipe(project),
        document.facts("The environment", first.summary["environment"]),
    ]
    path = project.exp / "report" / "index.html"
    write_atomically(path, document.assemble(recipe.name, body, sounds, say))
    model_card.write(project, licence)
    if failed:
        raise DataError(
            f"{len(failed)} of {shown} clips could not be shown; {path} has the others, but stage 6 is not done:\n  "
            + "\n  ".join(failed)
        )
    return path


def _systems(project: Project, others: Sequence[tuple[str, Project]]) -> list[System]:
    """The experiment and those beside it, by names that differ; the first one keeps all its clips."""
    first = system_of(project.exp)
    found = [first]
    for number, (name, item) in enumerate(others, 1):
        system = _of_the_same_recordings(first, system_of(item.exp, number))
        found.append(replace(system, name=name) if name else system)
    return told_apart(found)


def _walls(systems: Sequence[System], packed: Packed, recipe: Recipe, sounds: Sounds) -> list[str]:
    """The clips of generators that imitate none, and real ones."""
    look, count = walls.look_of(recipe), recipe.evaluation.shown
    return [
        *walls.heading(recipe.audio, look, several=False),
        *(walls.gallery(system, count, recipe.audio, sounds, look) for system in systems),
        walls.real(packed, count, recipe.plan.segment, recipe.audio, sounds, look),
    ]


def _clip(
    identity: str, shown: Sequence[System], packed: Packed, recipe: Recipe, sounds: Sounds, failed: list[str]
) -> str:
    """A clip's section of the page; of one that cannot be shown the reason, which is added to ``failed``."""
    try:
        return clip(identity, shown, packed, recipe.audio, sounds, recipe.evaluation.seconds)
    except Exception as error:
        if of_all_files(error) is not None:
            raise
        failed.append(fault_of(identity, error))
        return f"<section><h3>{named(identity)}</h3><p class=note>{html.escape(failed[-1])}</p></section>"


def _of_the_same_recordings(first: System, other: System) -> System:
    """Another experiment without the clips that have the name of a clip of the first, but imitate another recording.

    Raises:
        GansembleError: if the two cannot be compared: they have another task, or no clip in common.
    """
    if (first.index.task is Task.GENERATION) != (other.index.task is Task.GENERATION):
        raise GansembleError(
            f"--compare {other.exp}: its task is {other.index.task.value}, and that of {first.exp} is {first.index.task.value}: "
            "clips that imitate recordings are not compared with clips of a generator's own"
        )
    if first.index.task is Task.GENERATION:
        return other
    odd = first.index.of_other_recordings(other.index)
    rows = {id_: row for id_, row in other.rows.items() if id_ not in odd}
    if not rows:
        raise GansembleError(
            f"--compare {other.exp}: all {len(odd)} of its clips, such as {min(odd)}, imitate other recordings than those of "
            f"{first.exp} under the same names, so there is nothing to compare"
        )
    if not rows.keys() & first.rows.keys():
        raise GansembleError(
            f"--compare {other.exp}: none of its {len(rows)} clips, such as {min(rows)}, is one of the {len(first.rows)} of "
            f"{first.exp}, such as {min(first.rows)}; compare experiments of the same held-out clips"
        )
    if not odd:
        return other
    clips = [clip for clip in other.index.clips if clip.id not in odd]
    return replace(
        other, rows=rows, index=replace(other.index, clips=clips), name=f"{other.name} (without {len(odd)} others)"
    )


def _header(name: str, systems: Sequence[System]) -> str:
    first = systems[0]
    measured = first.summary.get("measured_speed")
    half = (
        f", half of {measured['runs']:.0f} runs {_times(measured['high'])} to {_times(measured['low'])}"
        if measured
        else ""
    )
    facts = (
        f"step {first.summary['step']:,} · {len(first.rows)} {first.summary['split']} {'clip' if len(first.rows) == 1 else 'clips'} · "
        f"{_times(first.summary['real_time_factor'])} × real time{half} on {first.summary['device']} "
        f"({first.summary['threads']} threads) · {first.summary['environment']['date']}"
    )
    return f"<header><h1>{named(name)}</h1><p>{html.escape(facts)}</p></header>"


def _times(factor: float) -> str:
    """How many times faster than real time a real-time factor is."""
    return f"{1 / factor:.1f}"


def _account(project: Project, first: System) -> list[str]:
    """What was trained, on what, how long and by which code, in words; a banner where it is a toy."""
    found = account.read(project.exp, first.index.checkpoint, project.dump, first.index.task)
    told = account_words.sentences(found)
    if not found.toy:
        return [_paragraphs("What was trained", told)]
    heading, _, rest = told[0].partition(". ")
    return [document.banner(f"{heading}.", rest), _paragraphs("What was trained", told[1:])]


def _paragraphs(heading: str, told: Sequence[str]) -> str:
    body = "".join(f"<p>{html.escape(each)}</p>" for each in told)
    return f"<h2>{heading}</h2><section class=account>{body}</section>"


def _tables(systems: Sequence[System], recipe: Recipe) -> list[str]:
    """One table of scores; or one for each test degradation, with a heading, where there are several."""
    if not systems[0].conditions:
        return [tables.table(systems, recipe.evaluation), *_sets(systems)]
    found = []
    for name in systems[0].conditions:
        shown = [made for made in (system.under(name) for system in systems) if made.rows]
        found.append(f"<h3>{html.escape(name)}</h3>{tables.table(shown, recipe.evaluation)}")
    return [*found, *_sets(systems)]


def _sets(systems: Sequence[System]) -> list[str]:
    """The table of scores of whole sets; none where there are none."""
    table = tables.set_table(systems, marked=True)
    return [table] if table else []


def _recipe(project: Project) -> str:
    store = project.exp / "checkpoints"
    found = sorted(store.glob("step-*/recipe.yaml"))
    text = found[-1].read_text() if found else project.recipe.read_text()
    return document.details("The filled recipe", f"<pre tabindex=0>{html.escape(text)}</pre>")
