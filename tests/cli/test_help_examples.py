"""Every help page ends with examples, which the command line understands."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import click
import pytest

from gansemble.cli import COMMANDS, group
from gansemble.cli.examples import EXAMPLES
from gansemble.cli.run_options import read


def every(command: click.Command, context: click.Context, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of each command and group, those of plugins too."""
    yield path
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from every(below, click.Context(below, parent=context, info_name=name), (*path, name))


def commands() -> list[tuple[str, ...]]:
    context = click.Context(group, info_name="gansemble")
    group.load_plugin_commands()
    return list(every(group, context))


@pytest.fixture(scope="module")
def paths() -> list[tuple[str, ...]]:
    return commands()


def command_of(words: list[str]) -> tuple[click.Command, list[str], click.Context]:
    """The command that words call, and the rest of them."""
    command: click.Command = group
    context, rest = click.Context(group, info_name="gansemble"), list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.get_command(context, rest[0])
        assert found is not None
        command, context = found, click.Context(found, parent=context, info_name=rest.pop(0))
    return command, rest, context


def test_each_command_and_group_has_examples_of_itself(paths, gansemble):
    assert len(paths) > len(COMMANDS)
    for path in paths:
        status, out, _ = gansemble(*path, "--help")
        lines = [line.strip() for line in out[out.index("examples:") :].splitlines()[1:]]
        lines = [line for line in lines if line]
        assert status == 0 and 1 <= len(lines) <= 3, path
        assert all(line.startswith(f"gansemble {' '.join(path)}".strip()) for line in lines), path
        assert path == ("run",) or max(map(len, lines)) <= 98, path


def test_each_example_is_understood(paths):
    lines = [line for each in EXAMPLES.values() for line in each]
    for path in paths:
        command, *_ = command_of(list(path))
        lines += [line.strip() for line in (command.epilog or "").splitlines() if line.startswith("  ")]
    for line in lines:
        program, *words = shlex.split(line)
        command, rest, context = command_of(words)
        assert (program == "gansemble" and not isinstance(command, click.Group)) or "--help" in rest, line
        if command.name == "run":
            assert read(rest, "run", words=1).words
        elif "--help" not in rest:
            parser = command.make_parser(context)
            given, left, _ = parser.parse_args(args=list(rest))
            assert not left, line
            needed = [each.name for each in command.params if each.required]
            assert all(given.get(name) not in (None, ()) for name in needed), line


def test_examples_are_of_commands_that_there_are(paths):
    assert set(EXAMPLES) <= {" ".join(path) for path in paths}


def test_the_help_of_run_fits_one_screen(gansemble):
    status, out, _ = gansemble("run", "--help")
    assert status == 0 and 24 <= len(out.splitlines()) <= 50
    assert max(map(len, out.splitlines())) <= 100
