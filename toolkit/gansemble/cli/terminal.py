"""Lines for the user."""

from __future__ import annotations

import click

from gansemble.stages import StageState


def say(text: str) -> None:
    """Prints a line for the user."""
    click.echo(printable(text))


def printable(text: str) -> str:
    """A text in which bytes of file names that are no valid text are replaced, so that it can be printed."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def say_up_to_date(state: StageState) -> None:
    """Tells the user that a stage is up to date, and since when."""
    when = f" ({state.record['finished']})" if state.record else ""
    say(f"stage {state.stage.number} {state.stage.name}: up to date{when}")
