"""Finds the recipe of a run: a file, or a configuration in a recipe's folder; and writes the help that lists them."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, replace
from pathlib import Path

from gansemble.cli.examples import EXAMPLES
from gansemble.cli.run_options import OPTIONS, Misuse, RunOptions
from gansemble.errors import near
from gansemble.files import near_path
from gansemble.recipe import packages
from gansemble.recipe.packages import AddressError, Found
from gansemble.stages.recipe_place import RecipePlace
from gansemble.stages.stage import STAGES

WIDTH = 100


@dataclass(frozen=True)
class Program:
    """How a run was called.

    Args:
        name: for messages, ``run.sh`` or ``gansemble run``.
        command: the words that call it again, before those of the user.
        folder: the recipe's folder; None if a word of the command line names the recipe.
        default: the configuration that is run if none is asked for, relative to that folder.
        found: the recipe of an installed distribution that a word of the command line names; None of any other.
    """

    name: str
    command: tuple[str, ...]
    folder: Path | None = None
    default: str | None = None
    found: Found | None = None

    def named(self, recipe: str) -> Program:
        """The same program for a recipe that was named; of a folder, its configurations are known from now on.

        Args:
            recipe: a recipe file, a recipe's folder, or the address of either in an installed distribution.

        Raises:
            Misuse: if there is no such recipe.
        """
        path = Path(recipe)
        if path.is_dir():
            return replace(self, folder=path.resolve(), default=packages.default_of(path))
        if packages.is_address(recipe):
            try:
                found = packages.find(recipe)
            except AddressError as error:
                raise Misuse(f"{self.name}: {error}") from error
            folder = found.recipe.folder
            return replace(self, folder=folder, default=packages.default_of(folder), found=found)
        if not path.is_file():
            raise Misuse(
                f"{self.name}: {recipe}: no such recipe{_like(recipe)}; give a recipe file, a recipe's folder, or an address "
                "that gansemble recipes list shows"
            )
        return self

    def header(self) -> str:
        """The comment at the head of the recipe's run.sh; empty if there is none."""
        script = self.folder / "run.sh" if self.folder is not None else None
        if script is None or not script.is_file():
            return ""
        lines = []
        for line in script.read_text(encoding="utf-8").splitlines()[1:]:
            if not line.startswith("#"):
                break
            lines.append(line.removeprefix("#").removeprefix(" "))
        return "\n".join([*lines, "", ""])

    def configurations(self) -> list[str]:
        """The file names of the recipes in the folder."""
        return sorted(path.name for path in self.folder.glob("conf/*.yaml")) if self.folder is not None else []


def _like(recipe: str) -> str:
    """The end of a message, with the file or the address that is most like one that is not there."""
    if "/" not in recipe and not recipe.endswith(".yaml"):
        addresses = [each.address for each in packages.installed()]
        if hint := near(recipe, addresses):
            return hint
    return near_path(Path(recipe))


def choose(program: Program, options: RunOptions) -> RecipePlace:
    """Finds the recipe that a command line asks for.

    Args:
        program: how the run was called.
        options: those of the command line.

    Returns:
        Where the recipe is, and the folder that it works in.

    Raises:
        Misuse: if there is no such recipe, or the options do not name one.
    """
    if program.found is not None:
        return RecipePlace.of(f"{program.found.recipe.address}/{_packaged(program, program.found, options)}")
    if program.folder is None:
        return _file(program, options)
    folder = program.folder
    if options.mini:
        if not (folder / "conf" / "mini.yaml").is_file():
            raise Misuse(f"{program.name}: --mini: there is no conf/mini.yaml in {folder}")
        return RecipePlace.of(folder / "conf" / "mini.yaml")
    there = " ".join(program.configurations())
    if options.config is not None:
        name = options.config
        for path in (Path(name), folder / name, folder / "conf" / f"{name.removesuffix('.yaml')}.yaml"):
            if name and path.is_file():
                return RecipePlace(path.resolve(), folder, path.stem)
        hint = near(Path(name).stem, [Path(each).stem for each in program.configurations()])
        raise Misuse(
            f"{program.name}: --config {name}: no such file here or in {folder}/conf{hint}; there are: {there}"
        )
    if program.default is None:
        raise Misuse(
            f"{program.name}: {folder} has no run.sh that names a configuration; choose with --config: {there}"
        )
    if not (folder / program.default).is_file():
        raise Misuse(f"{program.name}: {folder / program.default}: no such recipe; choose with --config: {there}")
    return RecipePlace.of(folder / program.default)


def _packaged(program: Program, found: Found, options: RunOptions) -> str:
    """The configuration of a recipe of an installed distribution that a command line asks for."""
    there = found.recipe.configurations()
    if found.configuration is not None and (options.mini or options.config is not None):
        option = "--mini" if options.mini else "--config"
        raise Misuse(
            f"{program.name}: {option} chooses a configuration, and {options.words[0]} names one; give "
            f"{found.recipe.address} instead"
        )
    default = program.default.removeprefix("conf/") if program.default is not None else None
    chosen = found.configuration or (packages.MINI if options.mini else options.config or default)
    if chosen is None:
        raise Misuse(f"{program.name}: {found.recipe.address} has no default; choose with --config: {' '.join(there)}")
    chosen = chosen.removesuffix(".yaml")
    if chosen not in there:
        asked = "--mini" if options.mini else f"--config {chosen}"
        raise Misuse(
            f"{program.name}: {asked}: {found.recipe.address} has no such configuration{near(chosen, there)}; it has "
            f"{' '.join(there)}"
        )
    return chosen


def _file(program: Program, options: RunOptions) -> RecipePlace:
    if not options.words:
        raise Misuse(
            f"{program.name}: give a recipe file, a recipe's folder, or the address of an installed recipe; "
            f"see {program.name} --help"
        )
    place = RecipePlace.of(Path(options.words[0]).resolve())
    if options.mini or options.config is not None:
        option = "--mini" if options.mini else "--config"
        raise Misuse(
            f"{program.name}: {option} chooses a recipe of a folder, and {place.file} is a file; give {place.root} instead"
        )
    return place


def usage(program: Program) -> str:
    """The text of ``--help``."""
    words = "[options]" if program.name == "run.sh" else "RECIPE [options]"
    of = (
        ""
        if program.name == "run.sh"
        else (
            "\nRECIPE is a recipe file, a recipe's folder, egs/<corpus>/<method>, or the address of an"
            "\ninstalled one (gansemble recipes list), which works in the folder you are in\n"
        )
    )
    stages = "\n".join(f"  {stage.number} {stage.name:11} {stage.listed or stage.title}" for stage in STAGES)
    rows = []
    for option in OPTIONS:
        text = option.help
        if option.name == "--config" and program.default is not None:
            text = text.replace("recipe;", f"recipe ({program.default});")
        rows.append(f"  {f'{option.name} {option.value}':22}{text}".rstrip())
    listed = "configurations: " + " ".join(program.configurations())
    configurations = textwrap.fill(listed, WIDTH, subsequent_indent=" " * 16, break_on_hyphens=False)
    return f"""{program.header()}Usage: {program.name} {words}
       from any directory; relative paths are relative to where you are
{of}
stages (by number or name; each is skipped when it is up to date, and redone, saying why, when not):
{stages}

options (--name value or --name=value):
{chr(10).join(rows)}

examples:
{_examples(program)}
""" + (f"\n{configurations}\n" if program.configurations() else "")


def _examples(program: Program) -> str:
    """The examples of the help: of a run.sh, without the recipe that it names itself."""
    lines = EXAMPLES["run"]
    if program.name == "run.sh":
        mini = ("./run.sh --mini",) if "mini.yaml" in program.configurations() else ()
        lines = (*mini, "./run.sh --stage train --set plan.steps=1000", "./run.sh --dry-run")
    return "\n".join(f"  {line}" for line in lines)
