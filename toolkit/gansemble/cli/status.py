"""``status``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from gansemble.bundle import layout
from gansemble.cli import status_advice
from gansemble.cli.options import PATH
from gansemble.cluster import jobs
from gansemble.scoring.printed import width_of
from gansemble.stages import Ledger, Project
from gansemble.stages.locks import holder


@click.command()
@click.argument("exp", type=PATH)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status(exp: Path, as_json: bool) -> None:
    """Show each stage of the experiment folder EXP: done, stale (and why), interrupted (where), or missing.

    Of a training, also how far it is, when it will end and with which scores, where its losses lie among those of other
    runs of the recipe, and what is out of the ordinary. Of a bundle, what it holds, once every file is checked.
    """
    if layout.is_bundle(exp):
        from gansemble.bundle import sealed
        from gansemble.cli.bundle import told as in_words

        found = sealed.verify(exp)
        click.echo(json.dumps(found.facts, indent=1) if as_json else f"a sound bundle\n{in_words(found)}")
        return
    project = Project.recall(exp.resolve())
    states = Ledger(project).states()
    if as_json:
        rows: list[dict[str, object]] = [
            {"stage": s.stage.number, "name": s.stage.name, "state": s.word, "reasons": list(s.reasons)}
            | ({"training": status_advice.as_json(project)} if s.stage.name == "train" else {})
            for s in states
        ]
        click.echo(json.dumps(jobs.beside(rows, project.exp), indent=1))
        return
    click.echo(f"recipe {project.recipe}\ndata   {project.data}\npacked {project.dump}\n")
    for state in states:
        when = (
            f" {state.record['finished']}, {state.record['seconds']} s" if state.record and state.word == "done" else ""
        )
        colour = {"done": "green", "stale": "yellow", "interrupted": "yellow", "missing": "red"}[state.word]
        if state.word == "interrupted":
            when = f" {'; '.join(state.reasons)}"
            if holder(project.exp) is not None:
                when += ", and is going on now"
        click.echo(f"{state.stage.number} {state.stage.name:11} " + click.style(f"{state.word:8}", fg=colour) + when)
        for reason in state.reasons if state.word != "interrupted" else ():
            click.echo(f"{'':14}{reason}")
    if told := status_advice.lines(project, width_of()):
        click.echo("\n" + "\n".join(told))
    for line in jobs.told(project.exp):
        click.echo(line)
