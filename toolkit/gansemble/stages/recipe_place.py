"""Where a recipe's file is, and in which folder its experiments, corpora and packed data are made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gansemble.recipe import packages


@dataclass(frozen=True)
class RecipePlace:
    """A recipe's file and the folder that it works in.

    A file works in the folder that has its ``conf/``, or else in its own. A recipe of an installed distribution, whose
    folder is not the user's to write to, works in the folder that the user is in.

    Args:
        file: the YAML file.
        root: the folder in which ``exp/``, ``data/`` and ``dump/`` are made.
        name: of its experiments' folder in ``exp/``.
        address: of a recipe of an installed distribution, with its configuration; empty for a file.
    """

    file: Path
    root: Path
    name: str
    address: str = ""

    @classmethod
    def of(cls, recipe: Path | str, root: Path | None = None) -> RecipePlace:
        """The place of a recipe.

        Args:
            recipe: a YAML file, or an address.
            root: the folder that an address works in; None is the working directory.

        Raises:
            AddressError: if it is an address that leads to no recipe.
        """
        if packages.is_address(recipe):
            found = packages.find(recipe)
            name = found.address.replace(":", "-").replace("/", "-")
            return cls(found.file().resolve(), (root or Path.cwd()).resolve(), name, found.address)
        file = Path(recipe).resolve()
        folder = next((parent.parent for parent in file.parents if parent.name == "conf"), file.parent)
        return cls(file, folder, file.stem)

    @property
    def exp(self) -> Path:
        """The experiment folder that is used if none is given."""
        return self.root / "exp" / self.name

    @property
    def mini_corpus(self) -> Path:
        """The folder of the small corpus that is made offline; recipes that share a root have one each."""
        return self.root / "data" / (f"mini-{self.name.removesuffix('-mini')}" if self.address else "mini")

    @property
    def word(self) -> str:
        """What names the recipe on a command line, from any directory but for an address's root."""
        return self.address or str(self.file)
