"""``import``: a group to which plugins add commands that read the formats of published checkpoints."""

from __future__ import annotations

import click

from gansemble.errors import near


class Formats(click.Group):
    """A group whose commands are added by the plugins' ``gansemble_commands`` hooks when it is first used."""

    @staticmethod
    def _fill(context: click.Context) -> None:
        context.find_root().command.load_plugin_commands()  # type: ignore[attr-defined]

    def list_commands(self, context: click.Context) -> list[str]:
        self._fill(context)
        return super().list_commands(context)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        self._fill(context)
        command = super().get_command(context, name)
        if command is None:
            known = self.list_commands(context)
            raise click.UsageError(f"no import format {name!r}{near(name, known)}; formats: {', '.join(known)}")
        return command


@click.group(cls=Formats)
def imports() -> None:
    """Turn published checkpoints into experiments that synthesise and fine-tune here."""
