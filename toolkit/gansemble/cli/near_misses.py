"""Messages about mistyped options, commands and choices, with the name that was probably meant."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import click

from gansemble.errors import near


@contextlib.contextmanager
def hinted() -> Iterator[None]:
    """Adds the nearest name to what click says of an unknown option, command or choice in the ``with`` block."""
    try:
        yield
    except click.NoSuchOption as error:
        if error.ctx is None:
            raise
        known = [name for each in error.ctx.command.get_params(error.ctx) for name in each.opts if name.startswith("-")]
        raise _usage(f"No such option {error.option_name}", error.option_name, known, error.ctx) from None
    except click.BadParameter as error:
        kind = error.param.type if error.param is not None else None
        hint = near(_quoted(error.message), map(str, kind.choices)) if isinstance(kind, click.Choice) else ""
        if not hint:
            raise
        message = error.message.rstrip(".") + hint
        raise click.BadParameter(message, error.ctx, error.param, error.param_hint) from None
    except click.UsageError as error:
        command = getattr(error, "command_name", None)  # from click 8.4 on
        if not isinstance(command, str) or error.ctx is None or not isinstance(error.ctx.command, click.Group):
            raise
        known = error.ctx.command.list_commands(error.ctx)
        raise _usage(f"No such command {command!r}", command, known, error.ctx) from None


def _usage(message: str, word: str, known: Sequence[str], context: click.Context) -> click.UsageError:
    return click.UsageError(message + (near(word, known) or f"; there are: {', '.join(known)}"), context)


def _quoted(message: str) -> str:
    """The word that click has put in quotes at the beginning of its message."""
    return message.partition("'")[2].partition("'")[0]
