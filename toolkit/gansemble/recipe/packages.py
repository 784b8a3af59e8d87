"""Recipes that come with an installed distribution, and their addresses, such as ``acme:ljspeech/v1``.

A distribution names its recipes by an entry point of the group ``gansemble.recipes``::

    [project.entry-points."gansemble.recipes"]
    acme = "acme.recipes"

The value is a package, whose folder holds a folder for each recipe, or a mapping from names to such folders. A recipe's
folder has its YAML files in ``conf/``. The address of the file ``ljspeech/conf/v1.yaml`` in it is ``acme:ljspeech/v1``;
``acme:ljspeech`` is the folder, and where a file is wanted the recipe's default.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from gansemble.errors import GansembleError, near
from gansemble.plugins.loading import installed_points

GROUP = "gansemble.recipes"
#: ``PACKAGE:RECIPE`` or ``PACKAGE:RECIPE/CONFIGURATION``.
ADDRESS = re.compile(r"([A-Za-z][\w.-]*):(\w[\w.-]*(?:/\w[\w.-]*)*)")
MINI = "mini"


class AddressError(GansembleError):
    """A recipe's address leads to no recipe."""


@dataclass(frozen=True)
class PackagedRecipe:
    """A recipe's folder in an installed distribution.

    Args:
        package: name of the entry point.
        name: of the recipe in it.
        folder: has its YAML files in ``conf/``.
    """

    package: str
    name: str
    folder: Path

    @property
    def address(self) -> str:
        """``PACKAGE:RECIPE``."""
        return f"{self.package}:{self.name}"

    def configurations(self) -> list[str]:
        """The names of its YAML files relative to ``conf/``, without ``.yaml``, sorted; those in sub-folders are last."""
        conf = self.folder / "conf"
        found = [path.relative_to(conf).with_suffix("").as_posix() for path in conf.rglob("*.yaml")]
        return sorted(found, key=lambda name: (name.count("/"), name))

    def file(self, configuration: str) -> Path:
        """The YAML file of a configuration."""
        return self.folder / "conf" / f"{configuration.removesuffix('.yaml')}.yaml"


@dataclass(frozen=True)
class Found:
    """What an address leads to.

    Args:
        recipe: the recipe.
        configuration: the one that the address names, such as ``v1``; None if it names the recipe alone.
    """

    recipe: PackagedRecipe
    configuration: str | None

    def file(self) -> Path:
        """The YAML file: of the configuration that was named, or else of the recipe's default.

        Raises:
            AddressError: if none was named and the recipe has no default.
        """
        if self.configuration is not None:
            return self.recipe.file(self.configuration)
        default = default_of(self.recipe.folder)
        if default is None:
            there = ", ".join(f"{self.recipe.address}/{name}" for name in self.recipe.configurations())
            raise AddressError(f"{self.recipe.address}: has no default configuration; choose one of {there}")
        return self.recipe.folder / default

    @property
    def address(self) -> str:
        """The whole address, with the configuration."""
        return (
            f"{self.recipe.address}/{self.file().relative_to(self.recipe.folder / 'conf').with_suffix('').as_posix()}"
        )


def default_of(folder: Path) -> str | None:
    """The configuration that a recipe's folder runs by default, relative to it; None if it has none.

    It is named by the line ``config=…`` of its run.sh. Without run.sh it is the only file in ``conf/`` beside
    ``mini.yaml``.
    """
    script = folder / "run.sh"
    if script.is_file():
        found = re.search(r"^config=(\S+)$", script.read_text(encoding="utf-8"), re.MULTILINE)
        return found.group(1) if found else None
    there = [path.name for path in sorted((folder / "conf").glob("*.yaml")) if path.stem != MINI]
    return f"conf/{there[0]}" if len(there) == 1 else None


def is_address(text: str | Path) -> bool:
    """Whether a word has the form of an address and is not the name of a file or folder that exists."""
    return ADDRESS.fullmatch(str(text)) is not None and not Path(text).exists()


def installed() -> list[PackagedRecipe]:
    """All recipes of the installed distributions, by package and name; those of a broken package are left out."""
    found: list[PackagedRecipe] = []
    for package in sorted(_points()):
        try:
            found += _recipes(package)
        except AddressError:
            continue
    return found


def find(address: str | Path) -> Found:
    """The recipe that an address leads to.

    Raises:
        AddressError: if no installed distribution has such a package, the package cannot be loaded, or it has no such
            recipe or configuration.
    """
    words = ADDRESS.fullmatch(str(address))
    if words is None:
        raise AddressError(f"{address}: expected an address such as acme:ljspeech/v1, PACKAGE:RECIPE/CONFIGURATION")
    package, rest = words.groups()
    points = _points()
    if package not in points:
        raise AddressError(
            f"{address}: no installed distribution has recipes called {package!r}{near(package, sorted(points))}; install the plugin "
            f"that they come with. Installed: {', '.join(sorted(points)) or 'none'}"
        )
    for recipe in sorted(_recipes(package), key=lambda each: -len(each.name)):
        if rest == recipe.name:
            return Found(recipe, None)
        if rest.startswith(f"{recipe.name}/"):
            configuration = rest[len(recipe.name) + 1 :].removesuffix(".yaml")
            if not recipe.file(configuration).is_file():
                known = recipe.configurations()
                raise AddressError(
                    f"{address}: {recipe.address} has no configuration {configuration!r}{near(configuration, known)}; "
                    f"it has {', '.join(known)}"
                )
            return Found(recipe, configuration)
    known = [recipe.name for recipe in _recipes(package)]
    raise AddressError(f"{address}: {package} has no recipe {rest!r}{near(rest, known)}; it has {', '.join(known)}")


def file_of(recipe: str | Path) -> Path:
    """The YAML file that a path or an address means; a path is returned as it is.

    Raises:
        AddressError: if it has the form of an address and leads to no recipe.
    """
    return find(recipe).file() if is_address(recipe) else Path(recipe)


def address_of(path: Path) -> str | None:
    """The address of a YAML file of an installed distribution; None of any other file."""
    whole = path.resolve()
    for recipe in installed():
        conf = (recipe.folder / "conf").resolve()
        if whole.is_relative_to(conf) and whole.suffix == ".yaml":
            return f"{recipe.address}/{whole.relative_to(conf).with_suffix('').as_posix()}"
    return None


def _points() -> dict[str, importlib.metadata.EntryPoint]:
    """The entry points by name; of two of one name the toolkit's, or else the first on the path."""
    found: dict[str, importlib.metadata.EntryPoint] = {}
    points, _ = installed_points([GROUP])
    for point in sorted(points[GROUP], key=lambda point: not (point.dist and point.dist.name == "gansemble")):
        found.setdefault(point.name, point)
    return found


def _loaded(point: importlib.metadata.EntryPoint) -> Mapping[str, Path]:
    value: object = point.load()
    if isinstance(value, ModuleType) and hasattr(value, "__path__"):
        folders = [Path(each) for each in value.__path__]
        return {each.name: each for folder in folders for each in sorted(folder.iterdir()) if (each / "conf").is_dir()}
    if isinstance(value, Mapping):
        return {str(name): Path(folder) for name, folder in value.items()}
    raise TypeError(f"is {type(value).__name__}, and a package or a mapping from names to folders was expected")


def _recipes(package: str) -> list[PackagedRecipe]:
    point = _points()[package]
    try:
        folders = _loaded(point)
    except (Exception, SystemExit) as error:
        given = point.dist.name if point.dist else "an unnamed distribution"
        raise AddressError(
            f"the recipes {package!r} of {given} cannot be loaded from {point.value} ({type(error).__name__}: {error}); "
            "install it again, or tell its author"
        ) from error
    return [PackagedRecipe(package, name, folder) for name, folder in sorted(folders.items())]
