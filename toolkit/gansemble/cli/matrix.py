"""``matrix``."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gansemble.cli.options import PATH, PROCESSES, set_option
from gansemble.cli.terminal import say
from gansemble.errors import GansembleError, Interrupted

if TYPE_CHECKING:
    from gansemble.matrix.expand import Cell
    from gansemble.matrix.plan import Costs
    from gansemble.matrix.run import CellRun, Places


@click.command()
@click.argument("file", type=PATH)
@set_option
@click.option(
    "--exp", type=PATH, help="Folder of the comparison (default: exp/matrix-<name> beside FILE or its matrix/)."
)
@click.option("--data", type=PATH, help="Corpus folder (default: data/<corpus> there).")
@click.option("--mini", is_flag=True, help="Make the corpus' small offline version where there is no data.")
@click.option("--plan", "plan_only", is_flag=True, help="Show cells, reasons, sizes and times, and run nothing.")
@click.option(
    "--timed-steps",
    type=click.IntRange(0, 1_000_000),
    default=3,
    show_default=True,
    help="Steps timed of each kind; 0 times none.",
)
@click.option("--cell", "cells", multiple=True, help="Run this cell only; may be repeated.")
@click.option(
    "--num-processes",
    type=PROCESSES,
    default=1,
    show_default=True,
    help="Processes of each cell's training, one per GPU.",
)
@click.option(
    "--submit",
    metavar="TEMPLATE",
    help="Hand each cell to a scheduler: a command with {command}, {script}, {name} or {log}.",
)
@click.option(
    "--launch",
    type=click.Choice(["local", "slurm"]),
    default="local",
    show_default=True,
    help="slurm: the cells as an array of jobs, with --set cluster.KEY=VALUE for SLURM.",
)
@click.option("--results", "results_only", is_flag=True, help="Only write RESULTS.md and the page from what is there.")
def matrix(
    file: Path,
    overrides: tuple[str, ...],
    exp: Path | None,
    data: Path | None,
    mini: bool,
    plan_only: bool,
    timed_steps: int,
    cells: tuple[str, ...],
    num_processes: int,
    submit: str | None,
    launch: str,
    results_only: bool,
) -> None:
    """Run every combination of parts that FILE names and that fits, and compare them.

    FILE is a recipe with a section matrix of axes, such as

    \b
      matrix:
        generator: [mine, yours]
        discriminators: {period: [mpd], both: [mpd, mrd]}
        noise_injector: [null, mine]
        seed: [1, 2]

    Combinations that do not fit are left out, with the reason. The same command again goes on where it stopped.
    """
    from gansemble.matrix import results, run
    from gansemble.matrix.expand import expand
    from gansemble.matrix.plan import Costs

    cluster, overrides = _divided(overrides, submit, launch)
    found = expand(file, overrides)
    places = run.Places.of(found, exp, data, num_processes, mini)
    chosen = [found.cell(name) for name in cells] if cells else found.cells
    costs = Costs(places.exp / "plan.json")
    runs = [run.CellRun(cell, places) for cell in found.cells if cell.possible]
    if results_only:
        say(str(results.write(found, runs, costs, places.exp, say=say)))
        return
    if plan_only or not cells:
        _plan(chosen, costs, timed_steps)
    if plan_only:
        return
    _demand_possible(file, chosen if cells else [], runs)
    to_run = [each for each in runs if each.cell in chosen]
    if submit is not None:
        return _submit(to_run, submit, file, overrides, places)
    if launch == "slurm":
        return _on_slurm(to_run, file, overrides, places, cluster)
    after = (lambda: None) if cells else (lambda: void(results.write(found, runs, costs, places.exp, with_page=False)))
    failed = [each.cell.name for each in run.sequence(to_run, say, after)]
    if not cells:
        _told(results.write(found, runs, costs, places.exp, say=say), runs)
    if failed:
        named = "; their logs are named above" if cells else f": {', '.join(failed)}"
        raise GansembleError(f"{len(failed)} of {len(to_run)} cells failed{named}")


def _told(written: Path, runs: Sequence[CellRun]) -> None:
    """Says where the results are, and what their first line is."""
    for line in written.read_text().splitlines()[2:3]:
        say(line)
    say(f"results: {written}")
    if any(each.state().word == "done" for each in runs):
        say(f"page:    {written.with_name('index.html')}")


def _divided(overrides: tuple[str, ...], submit: str | None, launch: str) -> tuple[list[str], tuple[str, ...]]:
    """(``--set`` options about the cluster, where cells are its jobs; those of the recipe).

    Raises:
        GansembleError: if two ways to hand cells to a scheduler are asked for.
    """
    if launch != "slurm":
        return [], overrides
    if submit is not None:
        raise GansembleError("--submit and --launch slurm both hand cells to a scheduler; leave one of them out")
    from gansemble.cluster.settings import taken_out

    cluster, changes = taken_out(overrides)
    return cluster, tuple(changes)


def _plan(cells: Sequence[Cell], costs: Costs, timed_steps: int) -> None:
    """Prints which cells would be run, and how long each would take."""
    from gansemble.matrix.plan import lines

    if timed_steps:
        costs.measure(cells, timed_steps, say)
    for line in lines(cells, costs):
        say(line)


def _demand_possible(file: Path, asked_for: Sequence[Cell], runs: Sequence[CellRun]) -> None:
    """Refuses a cell that was asked for if its parts do not fit, and a matrix in which no combination fits."""
    wrong = [cell for cell in asked_for if not cell.possible]
    if wrong:
        raise GansembleError("\n\n".join([f"{wrong[0].name} is impossible:", *map(str, wrong[0].problems)]))
    if not runs:
        raise GansembleError(f"{file}: no combination is possible; the reasons are above")


def void(_: object) -> None:
    """Returns None, whatever it is given."""


def _submit(runs: list, template: str, file: Path, overrides: tuple[str, ...], places) -> None:  # type: ignore[no-untyped-def,type-arg]
    from gansemble.matrix import run

    child = run.Child(say)
    prepared: set[Path] = set()
    changes = [word for change in overrides for word in ("--set", change)]
    where = ["--exp", str(places.exp), "--data", str(places.data)]
    with child.listening():
        for each in runs:
            if child.stopped:
                raise Interrupted(f"stopped before cell {each.cell.name}; run the same command to submit the rest")
            state = each.state()
            if state.word in ("done", "submitted", "running"):
                say(f"{each.cell.name}: {state.word}")
                continue
            if each.dump not in prepared:
                each.prepare(child)
                if child.stopped:
                    continue
                prepared.add(each.dump)
            command = _of_cell(each, file, overrides, places)
            say(f"{each.cell.name}: {run.submit(each, template, command) or 'submitted'}")
    say(f"when they are done: gansemble matrix {shlex.join([str(file), *changes, *where])} --results")


def _of_cell(each: CellRun, file: Path, overrides: Sequence[str], places: Places) -> list[str]:
    """The command that runs one cell, wherever it is started."""
    changes = [word for change in overrides for word in ("--set", change)]
    where = ["--exp", str(places.exp), "--data", str(places.data), "--num-processes", str(places.processes)]
    return [
        sys.executable,
        "-m",
        "gansemble",
        "matrix",
        str(file.resolve()),
        *changes,
        *where,
        "--cell",
        each.cell.name,
    ]


def _on_slurm(
    runs: Sequence[CellRun], file: Path, overrides: Sequence[str], places: Places, cluster: Sequence[str]
) -> None:
    """Prepares the data here, and submits the cells that are left as an array."""
    from gansemble.cluster import settings, submitting
    from gansemble.matrix import arrays, run
    from gansemble.stages.recipe_place import RecipePlace

    asked = arrays.settings_of(settings.load(RecipePlace.of(file).root, cluster), places)
    submitting.demand(asked)
    there = arrays.waiting(runs, places.exp)
    left = []
    for each in runs:
        word = "waits or runs" if each.cell.name in there else each.state().word
        if word in ("done", "waits or runs"):
            say(f"{each.cell.name}: {word}")
        else:
            left.append(each)
    child = run.Child(say)
    with child.listening():
        for each in {each.dump: each for each in left}.values():
            each.prepare(child)
            if child.stopped:
                raise Interrupted("stopped before anything was submitted; run the same command again")
    words = [str(file), *(word for change in overrides for word in ("--set", change))]
    words += ["--exp", str(places.exp), "--data", str(places.data), "--results"]
    if left and (
        status := arrays.submit(left, lambda each: _of_cell(each, file, overrides, places), asked, places, say)
    ):
        raise GansembleError(f"some of {len(left)} cells failed (exit {status}); gansemble cancel ends what is left")
    say(f"when they are done: gansemble matrix {shlex.join(words)}")
