"""Writes recipe folders of the user's own: copies of installed recipes, and new ones that build on an installed one."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

from gansemble.data.download import staged
from gansemble.errors import GansembleError
from gansemble.files import write_atomically
from gansemble.recipe import packages
from gansemble.recipe.document import Mark, read
from gansemble.recipe.packages import Found, PackagedRecipe

RUN_SH = """\
#!/usr/bin/env bash
{header}
set -euo pipefail
recipe_dir=$(readlink -f -- "${{BASH_SOURCE[0]}}") && recipe_dir=${{recipe_dir%/*}}
config={default}
if ! command -v gansemble >/dev/null; then
  echo "run.sh: gansemble is not installed in the active environment" >&2
  exit 2
fi
exec gansemble run --of-run-sh "$recipe_dir" "$config" "$@"
"""
NEW_README = """\
# {name}

A recipe that builds on `{address}`: `conf/{name}.yaml` includes it and changes what it says.

```
./run.sh --mini              # on a small corpus made offline
./run.sh --data FOLDER       # the real one
gansemble fill conf/{name}.yaml   # every value, with those that were included
```
"""
#: Folders beside a recipe's files in which runs put what they make.
MADE = ("exp", "data", "dump")


def copy(found: Found, target: Path) -> Path:
    """Copies an installed recipe to a folder of the user's own, where it runs as it did.

    An included file of another recipe is included by its address from now on; one that has no address is copied to
    ``conf/shared/``. ``run.sh`` is written anew, so that it needs no file outside the folder.

    Args:
        found: the recipe.
        target: the new folder.

    Returns:
        The folder.

    Raises:
        GansembleError: if the folder exists and is not empty.
        RecipeError: if a file of the recipe cannot be read.
    """
    source = found.recipe.folder.resolve()
    _demand_empty(target)
    with staged(target) as place:  # a failure leaves nothing
        # Contents alone: an installed recipe may be one that nobody may write.
        shutil.copytree(source, place, ignore=_made_of(source), copy_function=shutil.copyfile, dirs_exist_ok=True)
        for folder in (place, *(path for path in place.rglob("*") if path.is_dir())):
            folder.chmod(folder.stat().st_mode | stat.S_IRWXU)
        for path in sorted(place.rglob("*.yaml")):
            _rewrite(path, source / path.relative_to(place), source, place)
        _script(place, _header(found.recipe), packages.default_of(source))
    return target


def new(name: str, found: Found, folder: Path) -> Path:
    """Writes a recipe that includes an installed one, to ``folder/name``.

    Args:
        name: of the recipe, its folder and its configuration.
        found: the recipe that it builds on.
        folder: where its folder is made.

    Returns:
        The folder.

    Raises:
        GansembleError: if the name is not one for a file, or the folder exists and is not empty.
    """
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name) or name == packages.MINI:
        raise GansembleError(
            f"a recipe's name must be of letters, digits, '.', '_' and '-', and not mini, got {name!r}"
        )
    target = folder / name
    _demand_empty(target)
    text = f"# What this recipe changes of {found.address}; gansemble fill shows every value.\ninclude: [{found.address}]\n"
    with staged(target) as place:
        write_atomically(place / "conf" / f"{name}.yaml", text)
        if found.recipe.file(packages.MINI).is_file():
            included = f"include: [{found.recipe.address}/{packages.MINI}]\n"
            mini = f"# Small networks and a small corpus, to try the recipe.\n{included}"
            write_atomically(place / "conf" / f"{packages.MINI}.yaml", mini)
        write_atomically(place / "README.md", NEW_README.format(name=name, address=found.address))
        _script(place, f"# A recipe that builds on {found.address}.", f"conf/{name}.yaml")
    return target


def _demand_empty(target: Path) -> None:
    if os.path.lexists(target) and (not target.is_dir() or any(target.iterdir())):
        raise GansembleError(f"{target}: expected no such folder, or an empty one; choose another")


def _made_of(source: Path) -> Callable[[str, list[str]], set[str]]:
    """What :func:`shutil.copytree` leaves out: at the recipe's top, the folders that runs have made."""

    def left_out(folder: str, names: list[str]) -> set[str]:
        return {name for name in names if Path(folder) == source and name in MADE}

    return left_out


def _header(recipe: PackagedRecipe) -> str:
    """The comment at the head of the recipe's run.sh."""
    script = recipe.folder / "run.sh"
    lines = script.read_text(encoding="utf-8").splitlines()[1:] if script.is_file() else []
    comment = itertools.takewhile(lambda line: line.startswith("#"), lines)
    return "\n".join(comment) or f"# {recipe.address}, copied."


def _script(target: Path, header: str, default: str | None) -> None:
    if default is None:
        return
    path = target / "run.sh"
    path.unlink(missing_ok=True)
    write_atomically(path, RUN_SH.format(header=header, default=default))
    mode = path.stat().st_mode
    path.chmod(mode | (mode & 0o444) >> 2)  # whoever may read it may run it


def _rewrite(path: Path, original: Path, source: Path, target: Path) -> None:
    """Gives each include of a copied file, that leads out of the recipe's folder, an address or a copy beside it.

    Args:
        path: the copied file.
        original: where it was.
        source: the recipe's folder.
        target: its copy.
    """
    document = read(path)
    includes = document.value.get("include", [])
    items = [includes] if isinstance(includes, str) else includes
    if not isinstance(items, list):
        return
    changes: list[tuple[Mark, str]] = []
    for index, item in enumerate(items):
        mark = document.marks.get(("include", index)) or document.marks.get(("include",))
        included = Path(os.path.normpath(original.parent / str(item)))
        if mark is None or not included.is_file() or included.is_relative_to(source):
            continue
        address = packages.address_of(included)
        changes.append((mark, address or _shared(included, path, target)))
    if changes:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        for mark, text in sorted(changes, key=lambda change: -change[0].column):
            line, first = lines[mark.line - 1], mark.column - 1
            lines[mark.line - 1] = line[:first] + text + line[first + mark.width :]
        write_atomically(path, "".join(lines))


def _shared(included: Path, path: Path, target: Path) -> str:
    """Copies an included file without an address into the recipe's folder; its name there, relative to ``path``."""
    copied = target / "conf" / "shared" / included.name
    if not copied.exists():
        write_atomically(copied, included.read_text(encoding="utf-8"))
        _rewrite(copied, included, included.parent, target)
    return os.path.relpath(copied, path.parent)
