"""Options that take numbers say which, in every command: nothing that cannot be is found after a network was built."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from gansemble.cli import group

NUMERIC = (click.types.IntParamType, click.types.FloatParamType)


def options(
    command: click.Command, path: tuple[str, ...] = (), parent: click.Context | None = None
) -> Iterator[tuple[tuple[str, ...], click.Parameter]]:
    """(the words of the command, its option) of all commands."""
    if isinstance(command, click.Group):
        context = click.Context(command, parent=parent)
        for name in command.list_commands(context):
            each = command.get_command(context, name)
            assert each is not None
            yield from options(each, (*path, name), context)
        return
    yield from ((path, option) for option in command.params)


def numeric() -> list[tuple[str, click.Parameter]]:
    """All options that take a number, with what they are called in messages."""
    found = [(path, option) for path, option in options(group) if isinstance(option.type, NUMERIC)]
    return [(" ".join((*path, option.opts[0])), option) for path, option in found]


def test_commands_have_options_that_take_numbers():
    assert len(numeric()) >= 10


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "-1", "1e300", "1" + "0" * 30, "9" * 400])
def test_no_option_takes_a_number_that_is_not_finite_or_absurd(text):
    taken = []
    for name, option in numeric():
        given = (text,) * option.nargs if option.nargs > 1 else text
        with click.Context(click.Command("x")) as context:
            try:
                option.process_value(context, given)
            except click.BadParameter:
                continue
        taken.append(name)
    assert taken == []


def test_each_option_that_takes_a_number_has_a_lowest_and_a_highest():
    without = [
        name for name, option in numeric() if None in (getattr(option.type, end, None) for end in ("min", "max"))
    ]
    assert without == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("synthesise --exp e --input a.wav --output o --chunk-seconds nan", "expected a finite number, got nan"),
        ("synthesise --exp e --input a.wav --output o --chunk-seconds 0", "not in the range 0.001<=x<=100000"),
        ("enhance a.wav --exp e --output o --keep-below inf", "not in the range 0<=x<=1000000"),
        ("sample --exp e --output o --seed -1", "not in the range 0<=x<=9007199254740992"),
        ("prepare r.yaml --jobs 0", "not in the range 1<=x<=1024"),
        ("train r.yaml --stop-after -1", "not in the range 1<=x<=1000000000000"),
    ],
)
def test_a_number_that_cannot_be_is_refused_with_its_range(words, said):
    result = CliRunner().invoke(group, words.split())
    assert result.exit_code == 2 and said in result.output
